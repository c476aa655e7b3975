/// Keeps commands off the shared connections that would change them for everybody, or hold them up.
enum SharedUse {
    /// They switch the connection's mode, user, database or protocol.
    private static let changing: Set<String> = [
        "AUTH", "HELLO", "MONITOR", "PSUBSCRIBE", "PUNSUBSCRIBE", "QUIT", "RESET", "SELECT", "SSUBSCRIBE", "SUBSCRIBE",
        "SUNSUBSCRIBE", "SYNC", "PSYNC", "UNSUBSCRIBE", "READONLY", "READWRITE", "ASKING",
    ]
    /// They block their connection.
    private static let blocking: Set<String> = [
        "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "WAIT", "WAITAOF",
    ]
    /// They open or close a transaction; whole inside one pipeline they disturb nobody.
    private static let transaction: Set<String> = ["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"]

    /// - Throws: ``RedisError/Code/misuse``; nothing has been sent then.
    static func check(_ command: RedisCommand) throws(RedisError) {
        try checkKind(command)
        guard !transaction.contains(command.name) else {
            throw RedisError(
                .misuse, "\(command.name) alone would catch the commands of others; send the transaction as a pipeline."
            )
        }
    }

    /// - Throws: ``RedisError/Code/misuse``; nothing has been sent then.
    static func check(_ pipeline: [RedisCommand]) throws(RedisError) {
        var isOpen = false
        for command in pipeline {
            try checkKind(command)
            switch command.name {
            case "MULTI": isOpen = true
            case "EXEC", "DISCARD": isOpen = false
            case "WATCH", "UNWATCH":
                throw RedisError(.misuse, "\(command.name) needs a connection of its own: withConnection.")
            default: break
            }
        }
        guard !isOpen else {
            throw RedisError(.misuse, "The pipeline opens MULTI without EXEC or DISCARD.")
        }
    }

    private static func checkKind(_ command: RedisCommand) throws(RedisError) {
        let name = command.name
        let silencesReplies =
            name == "CLIENT" && command.argumentCount > 1
            && String(decoding: command.argument(1), as: UTF8.self).uppercased() == "REPLY"
        guard !changing.contains(name), !silencesReplies else {
            throw RedisError(.misuse, "\(name) would change the shared connection for everybody; it was not sent.")
        }
        guard !blocking.contains(name) else {
            throw RedisError(.misuse, "\(name) would block the shared connection; use withConnection.")
        }
    }
}
