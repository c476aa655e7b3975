import NIOConcurrencyHelpers

/// A connection that nobody else uses, for the time of one ``RedisClient/withConnection(key:_:)``.
public final class RedisLeasedConnection: Sendable {
    private let connection: RedisConnection
    private let commandTimeout: Duration
    private let failed = NIOLockedValueBox(false)

    init(connection: RedisConnection, commandTimeout: Duration) {
        self.connection = connection
        self.commandTimeout = commandTimeout
    }

    /// Whether every reply has been received.
    var isClean: Bool { !failed.withLockedValue { $0 } }

    /// Sends a command and returns its reply. A command that blocks (`WAIT`) needs a timeout longer than its own.
    ///
    /// - Throws: ``RedisError/Code/server`` for an error reply.
    public func send(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RESPValue {
        let reply = try await noting { () throws(RedisError) in
            try await self.connection.send(command, timeout: timeout ?? self.commandTimeout)
        }
        if case .error(let error) = reply { throw .server(error) }
        return reply
    }

    /// Sends commands in one write; error replies are values.
    public func pipeline(
        _ commands: [RedisCommand], timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        try await noting { () throws(RedisError) in
            try await self.connection.pipeline(commands, timeout: timeout ?? self.commandTimeout)
        }
    }

    /// Runs a script by `EVALSHA`, and on `NOSCRIPT` by `EVAL`.
    public func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await noting { () throws(RedisError) in
            try await self.connection.evaluate(
                script, keys: keys, arguments: arguments, timeout: timeout ?? self.commandTimeout)
        }
    }

    private func noting<Value>(_ work: () async throws(RedisError) -> Value) async throws(RedisError) -> Value {
        do throws(RedisError) {
            return try await work()
        } catch {
            if error.code != .server { failed.withLockedValue { $0 = true } }
            throw error
        }
    }
}
