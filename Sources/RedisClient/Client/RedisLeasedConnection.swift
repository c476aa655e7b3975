import NIOConcurrencyHelpers

/// A connection that nobody else uses, for the time of one ``RedisClient/withConnection(key:_:)``.
///
/// On a Cluster the first command may find that its key has moved: the lease then goes on with a connection to the
/// right node. From the first executed command on it stays where it is, so that `WAIT` covers that command; a redirect
/// after that is thrown as ``RedisError/Code/server`` with ``RedisError/mayHaveExecuted`` false.
public final class RedisLeasedConnection: Sendable {
    private struct State {
        var connection: RedisConnection
        var node: RedisNodeID
        var underWay = 0
        /// Something may have been executed here, or is under way beside another command.
        var isPinned = false
        var hasFailed = false
    }

    private let pool: LeasePool
    private let topology: any RedisTopology
    private let key: String?
    private let commandTimeout: Duration
    private let state: NIOLockedValueBox<State>

    init(
        connection: RedisConnection, node: RedisNodeID, key: String?, pool: LeasePool, topology: any RedisTopology,
        commandTimeout: Duration
    ) {
        self.pool = pool
        self.topology = topology
        self.key = key
        self.commandTimeout = commandTimeout
        state = NIOLockedValueBox(State(connection: connection, node: node))
    }

    /// Sends a command and returns its reply. A command that blocks (`WAIT`) needs a timeout longer than its own.
    ///
    /// - Throws: ``RedisError/Code/server`` for an error reply.
    public func send(_ command: RedisCommand, timeout: Duration? = nil) async throws(RedisError) -> RESPValue {
        try await call(timeout) { connection, asking, timeout throws(RedisError) in
            try await connection.send(command, asking: asking, timeout: timeout)
        }
    }

    /// Sends commands in one write; error replies, redirects among them, are values.
    public func pipeline(
        _ commands: [RedisCommand], timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        let connection = begin().connection
        defer { end() }
        pin()
        let replies: [RESPValue]
        do throws(RedisError) {
            replies = try await connection.pipeline(commands, timeout: timeout ?? commandTimeout)
        } catch {
            fail()
            throw error
        }
        let node = state.withLockedValue { $0.node }
        // The next lease shall know better.
        for case .error(let error) in replies where topology.advice(on: error, from: node) == .leave { fail() }
        return replies
    }

    /// Runs a script by `EVALSHA`, and on `NOSCRIPT` by `EVAL`.
    public func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await call(timeout) { connection, asking, timeout throws(RedisError) in
            try await connection.evaluate(script, keys: keys, arguments: arguments, asking: asking, timeout: timeout)
        }
    }

    // MARK: inside

    /// Hands the connection back to the pool.
    func giveBack(isClean: Bool) {
        let (connection, node, hasFailed) = state.withLockedValue { ($0.connection, $0.node, $0.hasFailed) }
        pool.giveBack(connection, of: node, isClean: isClean && !hasFailed)
    }

    private func call(
        _ timeout: Duration?,
        _ perform: (RedisConnection, _ asking: Bool, Duration) async throws(RedisError) -> RESPValue
    ) async throws(RedisError) -> RESPValue {
        var (connection, node) = begin()
        defer { end() }
        var route = CallRoute(topology: topology, key: key, node: node, timeout: timeout ?? commandTimeout)
        while true {
            let reply: RESPValue
            do throws(RedisError) {
                reply = try await perform(connection, route.isAsking, route.remaining)
            } catch {
                fail()
                throw error
            }
            guard let error = reply.serverError else {
                pin()
                return reply
            }
            let mayMove = state.withLockedValue { !$0.isPinned }
            guard try await route.goesOn(after: error, on: connection, mayMove: mayMove) else {
                if topology.advice(on: error, from: node) == .leave { fail() }
                if RedisError.server(error).mayHaveExecuted { pin() }
                throw .server(error)
            }
            if route.node != node {
                (connection, node) = try await move(to: route.node)
            }
        }
    }

    /// The lease goes on with a connection to another node; nothing has been executed on the one so far.
    private func move(to node: RedisNodeID) async throws(RedisError) -> (RedisConnection, RedisNodeID) {
        let connection = try await pool.take(node)
        let old = state.withLockedValue { state in
            let old = (state.connection, state.node)
            (state.connection, state.node) = (connection, node)
            return old
        }
        pool.giveBack(old.0, of: old.1, isClean: true)
        return (connection, node)
    }

    private func begin() -> (connection: RedisConnection, node: RedisNodeID) {
        state.withLockedValue { state in
            state.underWay += 1
            if state.underWay > 1 { state.isPinned = true }
            return (state.connection, state.node)
        }
    }

    private func end() { state.withLockedValue { $0.underWay -= 1 } }
    private func pin() { state.withLockedValue { $0.isPinned = true } }
    private func fail() { state.withLockedValue { $0.hasFailed = true } }
}
