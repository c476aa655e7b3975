import RefreshCore

/// Orphans as the API shows them: everything but their tokens.
public enum OrphanDocument {
    /// The JSON of `GET /v1/accounts/{id}/orphans`.
    public static func render(_ orphans: [Orphan], of account: AccountID) -> [UInt8] {
        var writer = JSONWriter(capacity: 320 * orphans.count + 64)
        writer.object { writer in
            writer.key("account")
            writer.string(account.rawValue)
            writer.key("orphans")
            write(orphans, to: &writer)
        }
        return writer.bytes
    }

    static func write(_ orphans: [Orphan], to writer: inout JSONWriter) {
        writer.array(orphans) { writer, orphan in
            writer.object { write(orphan, to: &$0) }
        }
    }

    private static func write(_ orphan: Orphan, to writer: inout JSONWriter) {
        writer.key("attempt")
        writer.string(orphan.attempt.rawValue)
        writer.key("generation")
        writer.integer(orphan.generation.rawValue)
        writer.key("kept_at")
        writer.time(Timestamp(orphan.keptAt))
        writer.key("cause")
        if let cause = orphan.cause { writer.string(cause.rawValue) } else { writer.null() }
        writer.key("newest_generation")
        if let newest = orphan.newest { writer.integer(newest.rawValue) } else { writer.null() }
        writer.key("origin")
        if let origin = orphan.origin { writer.string(origin.rawValue) } else { writer.null() }
        writer.key("provider")
        if let provider = orphan.provider { writer.string(provider.rawValue) } else { writer.null() }
        writer.key("expires_at")
        writer.time(Timestamp(orphan.expiresAt))
        writer.key("can_be_opened")
        writer.bool(orphan.canBeOpened)
    }
}
