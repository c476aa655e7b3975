import RefreshCore

/// An account as the API shows it: everything but its tokens.
public enum AccountDocument {
    /// The JSON of `GET /v1/accounts/{id}`.
    ///
    /// - Parameter orphans: nil where nobody has looked; then nothing is said of them.
    public static func render(_ account: AccountSnapshot, orphans: [Orphan]? = nil) -> [UInt8] {
        var writer = JSONWriter(capacity: 640)
        write(account, orphans: orphans, to: &writer)
        return writer.bytes
    }

    static func render(_ page: AccountPage) -> [UInt8] {
        var writer = JSONWriter(capacity: 640 * page.accounts.count + 64)
        writer.object { writer in
            writer.key("accounts")
            writer.array(page.accounts) { write($1, orphans: nil, to: &$0) }
            writer.key("next")
            if let next = page.next { writer.string(next.rawValue) } else { writer.null() }
        }
        return writer.bytes
    }

    /// What is known of an account right after it was stored, if it cannot be read back.
    static func render(_ put: AccountPut, generation: Generation) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("id")
            writer.string(put.id.rawValue)
            writer.key("provider")
            writer.string(put.provider.rawValue)
            writer.key("generation")
            writer.integer(generation.rawValue)
        }
        return writer.bytes
    }

    private static func write(_ account: AccountSnapshot, orphans: [Orphan]?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("id")
            writer.string(account.id.rawValue)
            writer.key("provider")
            writer.string(account.provider.rawValue)
            writer.key("name")
            writer.string(account.name)
            writer.key("enabled")
            writer.bool(account.enabled)
            writer.key("status")
            writer.string(account.shownStatus.rawValue)
            writer.key("pool")
            writer.optional(account.pool?.rawValue)
            writer.key("tier")
            writer.optional(account.tier?.rawValue)
            writer.key("labels")
            write(account.labels, to: &writer)
            writer.key("proxy")
            write(account.proxy, to: &writer)
            writer.key("generation")
            writer.integer(account.generation.rawValue)
            writer.key("has_access_token")
            writer.bool(account.accessToken?.isEmpty == false)
            writer.key("token_type")
            writer.string(account.tokenType)
            writer.key("expires_at")
            writer.time(Timestamp(account.expiresAt))
            writer.key("obtained_at")
            writer.time(Timestamp(account.obtainedAt))
            writer.key("created_at")
            writer.time(Timestamp(account.createdAt))
            writer.key("updated_at")
            writer.time(Timestamp(account.updatedAt))
            writer.key("due_at")
            writer.time(Timestamp(account.dueAt))
            writer.key("authorized_at")
            writer.time(Timestamp(account.authorizedAt))
            writer.key("grant_expires_at")
            writer.time(Timestamp(account.grant?.endsAt))
            writer.key("failures")
            writer.integer(Int64(account.failures))
            writer.key("next_attempt_at")
            writer.time(Timestamp(account.nextAttemptAt))
            writer.key("last_fault")
            write(account.lastFault, to: &writer)
            writer.key("intent")
            write(account.intent, to: &writer)
            if let orphans {
                writer.key("orphans")
                OrphanDocument.write(orphans, to: &writer)
            }
        }
    }

    private static func write(_ labels: AccountLabels, to writer: inout JSONWriter) {
        writer.object { writer in
            for (key, value) in labels.values.sorted(by: { $0.key < $1.key }) {
                writer.key(key)
                writer.string(value)
            }
        }
    }

    /// Never the credentials, only whether there are any.
    private static func write(_ proxy: ProxySetting?, to writer: inout JSONWriter) {
        guard let proxy else { return writer.null() }
        writer.object { writer in
            writer.key("url")
            writer.string(proxy.url)
            writer.key("has_credentials")
            writer.bool(proxy.hasCredentials)
        }
    }

    static func write(_ fault: RefreshFault?, to writer: inout JSONWriter) {
        guard let fault else { return writer.null() }
        writer.object { writer in
            writer.key("kind")
            writer.string(fault.kind.rawValue)
            writer.key("message")
            writer.string(fault.message)
        }
    }

    private static func write(_ intent: RefreshIntent?, to writer: inout JSONWriter) {
        guard let intent else { return writer.null() }
        writer.object { writer in
            writer.key("attempt")
            writer.string(intent.attempt.rawValue)
            writer.key("state")
            writer.string(intent.state.rawValue)
            writer.key("generation")
            writer.integer(intent.generation.rawValue)
            writer.key("origin")
            writer.string(intent.origin.rawValue)
            writer.key("at")
            writer.time(Timestamp(intent.at))
            writer.key("first_at")
            writer.time(Timestamp(intent.firstAt))
            writer.key("resends")
            writer.integer(Int64(intent.resends))
        }
    }
}
