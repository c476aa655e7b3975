import RefreshCore

/// The body of `GET /v1/accounts/{id}/token`.
public enum TokenDocument {
    /// The JSON of `GET /v1/accounts/{id}/token`: it holds the access token.
    public static func render(_ answer: TokenAnswer, now: WallTime) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        write(answer, now: now, to: &writer)
        return writer.bytes
    }

    /// The same of what the account has just now, be it a fallback token.
    public static func render(_ served: ServedToken, now: WallTime) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        switch served {
        case .account(let answer): write(answer, now: now, to: &writer)
        case .fallback(let token, let account, let failure):
            write(token, of: account, because: failure.code.rawValue, to: &writer)
        }
        return writer.bytes
    }

    /// The members are those of any token. What is not known of this one is null: its end, and a generation, for it has
    /// none. One of a pool names the pool, and no account where it was asked for by the pool.
    static func write(
        _ fallback: FallbackToken, of account: AccountID?, because reason: String, to writer: inout JSONWriter
    ) {
        writer.object { writer in
            writer.key("account")
            writer.optional(account?.rawValue)
            writer.key("access_token")
            writer.string(fallback.token.reveal())
            writer.key("token_type")
            writer.string(fallback.tokenType)
            writer.key("expires_at")
            writer.null()
            writer.key("expires_in")
            writer.null()
            writer.key("generation")
            writer.null()
            writer.key("source")
            writer.string("fallback")
            writer.key("stale")
            writer.bool(true)
            writer.key("reason")
            writer.string(reason)
            if let pool = fallback.pool {
                writer.key("pool")
                writer.string(pool.rawValue)
            }
        }
    }

    /// - Parameter more: further members.
    static func write(
        _ answer: TokenAnswer, now: WallTime, to writer: inout JSONWriter, more: (inout JSONWriter) -> Void = { _ in }
    ) {
        writer.object { writer in
            writer.key("account")
            writer.string(answer.snapshot.id.rawValue)
            writer.key("access_token")
            writer.string(answer.accessToken.reveal())
            writer.key("token_type")
            writer.string(answer.snapshot.tokenType)
            writer.key("expires_at")
            writer.time(Timestamp(answer.expiresAt))
            writer.key("expires_in")
            // Whole seconds, rounded down: a caller never counts on time that is not there.
            writer.integer(max(0, (answer.expiresAt - now).wholeMilliseconds / 1000))
            writer.key("generation")
            writer.integer(answer.snapshot.generation.rawValue)
            writer.key("source")
            writer.string(answer.source.rawValue)
            writer.key("stale")
            writer.bool(answer.isStale)
            more(&writer)
        }
    }
}
