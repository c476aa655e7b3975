import RefreshCore

/// The body of `GET /v1/accounts/{id}/token`.
public enum TokenDocument {
    /// The JSON of `GET /v1/accounts/{id}/token`: it holds the access token.
    public static func render(_ answer: TokenAnswer, now: WallTime) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        write(answer, now: now, to: &writer)
        return writer.bytes
    }

    static func write(_ answer: TokenAnswer, now: WallTime, to writer: inout JSONWriter) {
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
        }
    }
}
