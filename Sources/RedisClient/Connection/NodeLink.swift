import Logging
import NIOConcurrencyHelpers
import NIOCore

/// Keeps one connection to one node: connects, waits for its end, backs off, connects again.
final class NodeLink: Sendable {
    private struct State {
        var phase = RedisConnectionState.idle
        var connection: RedisConnection?
        var waiters: [Waiter] = []
        /// The attempt to connect that is under way.
        var attempt: Task<Result<RedisConnection, RedisError>, Never>?
        /// The back-off that is under way.
        var pause: Completion<Void>?
        /// Connect anew without back-off.
        var isHurried = false
    }

    private struct Waiter {
        let completion: Completion<RedisConnection>
        /// Commands wait for the first attempt only; `waitUntilReady` waits through failures.
        let untilReady: Bool
    }

    let node: RedisNodeID
    private let connector: NodeConnector
    private let logger: Logger
    /// Called with each new connection before it is announced.
    private let prepare: @Sendable (RedisConnection) async throws(RedisError) -> Void
    /// Called once each prepared connection has ended.
    private let ended: @Sendable () -> Void
    /// Called when the link gives up, because the topology does not want the node any more.
    private let retired: @Sendable () -> Void
    private let state = NIOLockedValueBox(State())

    init(
        node: RedisNodeID, connector: NodeConnector, logger: Logger,
        prepare: @escaping @Sendable (RedisConnection) async throws(RedisError) -> Void = { _ throws(RedisError) in },
        ended: @escaping @Sendable () -> Void = {}, retired: @escaping @Sendable () -> Void = {}
    ) {
        self.node = node
        self.connector = connector
        self.logger = logger
        self.prepare = prepare
        self.ended = ended
        self.retired = retired
    }

    var phase: RedisConnectionState { state.withLockedValue { $0.phase } }
    var readyConnection: RedisConnection? { state.withLockedValue { $0.connection } }

    // MARK: use

    /// The connection, at once where there is one. While away it fails at once; during the very first attempt it
    /// waits for its outcome, at most `patience`.
    func connection(patience: Duration) async throws(RedisError) -> RedisConnection {
        let (connection, phase) = state.withLockedValue { ($0.connection, $0.phase) }
        if let connection { return connection }
        switch phase {
        case .idle, .connecting:
            return try await wait(untilReady: false, patience: patience)
        case .away(let reason):
            throw Self.unavailable(reason)
        case .closed:
            throw Self.closed
        case .ready:
            throw Self.unavailable("the connection is being replaced")
        }
    }

    /// Waits until the connection is ready, through failed attempts.
    func waitUntilReady(patience: Duration) async throws(RedisError) {
        _ = try await wait(untilReady: true, patience: patience)
    }

    private func wait(untilReady: Bool, patience: Duration) async throws(RedisError) -> RedisConnection {
        let completion = Completion<RedisConnection>()
        let now = state.withLockedValue { state -> Result<RedisConnection, RedisError>? in
            if let connection = state.connection { return .success(connection) }
            switch state.phase {
            case .closed: return .failure(Self.closed)
            case .away(let reason) where !untilReady: return .failure(Self.unavailable(reason))
            default:
                state.waiters.append(Waiter(completion: completion, untilReady: untilReady))
                return nil
            }
        }
        if let now { return try now.get() }
        defer { forget(completion) }
        return try await completion.value(within: patience, on: connector.factory.group.any()) {
            Self.unavailable("\(self.phase)")
        }
    }

    private func forget(_ completion: Completion<RedisConnection>) {
        state.withLockedValue { $0.waiters.removeAll { $0.completion === completion } }
    }

    private static func unavailable(_ reason: String) -> RedisError {
        RedisError(.unavailable, "Redis is away, nothing was sent: \(reason)")
    }

    static var closed: RedisError {
        RedisError(.closed, "The Redis client has been shut down; nothing was sent.")
    }

    // MARK: upkeep

    /// Returns when the task is cancelled, after the connection has closed, or when the topology does not want the node
    /// any more.
    func run() async {
        var attempt = 0
        while !Task.isCancelled {
            let lived = await connectAndServe()
            guard !Task.isCancelled else { break }
            guard connector.topology.isWanted(node) else { return retire() }
            if lived >= .seconds(1) { attempt = 0 }
            if await pause(attempt: attempt) { attempt += 1 } else { attempt = 0 }
        }
        close()
    }

    /// Closes a connection whose address is not the node's any more, and connects anew without back-off.
    func dropOutdated(because reason: RedisError) {
        let (connection, attempt, pause) = state.withLockedValue { state in
            let connection = state.connection.flatMap {
                connector.topology.isCurrent($0.endpoint, of: node) ? nil : $0
            }
            // A connection that may stay needs no hurry.
            state.isHurried = state.connection == nil || connection != nil
            return (connection, state.attempt, state.pause)
        }
        connection?.close(reason)
        attempt?.cancel()
        pause?.complete(.success(()))
    }

    /// Waits before the next attempt. False when there is a reason to try at once.
    private func pause(attempt: Int) async -> Bool {
        let delay = connector.factory.configuration.reconnectBackoff.delay(
            attempt: attempt, fraction: .random(in: 0...1))
        let pause = Completion<Void>()
        let isHurried = state.withLockedValue { state in
            defer { state.isHurried = false }
            if !state.isHurried { state.pause = pause }
            return state.isHurried
        }
        guard !isHurried else { return false }
        defer {
            state.withLockedValue { state in
                state.pause = nil
                state.isHurried = false
            }
        }
        do throws(RedisError) {
            try await pause.value(within: delay, on: connector.factory.group.any()) {
                RedisError(.timeout, "The back-off is over.", mayHaveExecuted: false)
            }
            return false
        } catch {
            return true
        }
    }

    /// How long the connection lived; zero where none was made.
    private func connectAndServe() async -> Duration {
        state.withLockedValue { if $0.phase == .idle { $0.phase = .connecting } }
        do throws(RedisError) {
            let connection = try await connect()
            do throws(RedisError) {
                try await prepare(connection)
            } catch {
                connection.close(error)
                ended()
                throw error
            }
            let since = ContinuousClock.now
            announce(connection)
            _ = connector.refuseIfOutdated(connection, of: node)
            let reason = await withTaskCancellationHandler {
                await connection.end()
            } onCancel: {
                close()
            }
            if !Task.isCancelled {
                setAway(connector.topology.failed(node, at: connection.endpoint, reason))
            }
            ended()
            return ContinuousClock.now - since
        } catch {
            setAway(error)
            return .zero
        }
    }

    /// One attempt, which ``dropOutdated(because:)`` may cancel: the server may be the wrong one by now, and hang.
    private func connect() async throws(RedisError) -> RedisConnection {
        let attempt = Task { [connector, node] () async -> Result<RedisConnection, RedisError> in
            do throws(RedisError) {
                return .success(try await connector.connect(to: node))
            } catch {
                return .failure(error)
            }
        }
        state.withLockedValue { state in
            state.attempt = attempt
            state.isHurried = false
        }
        defer { state.withLockedValue { $0.attempt = nil } }
        return try await withTaskCancellationHandler {
            await attempt.value
        } onCancel: {
            attempt.cancel()
        }.get()
    }

    private func announce(_ connection: RedisConnection) {
        let (waiters, isClosed) = state.withLockedValue { state -> ([Waiter], Bool) in
            guard state.phase != .closed else { return ([], true) }
            state.phase = .ready
            state.connection = connection
            defer { state.waiters = [] }
            return (state.waiters, false)
        }
        guard !isClosed else { return connection.finish() }
        logger.debug("Redis is connected", metadata: ["node": "\(node)"])
        for waiter in waiters { waiter.completion.complete(.success(connection)) }
    }

    private func setAway(_ error: RedisError) {
        let (waiters, isNews) = state.withLockedValue { state -> ([Waiter], Bool) in
            guard state.phase != .closed else { return ([], false) }
            let phase = RedisConnectionState.away(reason: error.message)
            let isNews = state.phase != phase
            state.phase = phase
            state.connection = nil
            let waiters = state.waiters.filter { !$0.untilReady }
            state.waiters.removeAll { !$0.untilReady }
            return (waiters, isNews)
        }
        // The same failure at each attempt is said once.
        if isNews { logger.warning("Redis is away, trying again: \(error.message)", metadata: ["node": "\(node)"]) }
        for waiter in waiters {
            waiter.completion.complete(
                .failure(RedisError(.unavailable, error.message, serverError: error.serverError, underlying: error)))
        }
    }

    /// Nothing new is sent; the connection ends once the owed replies have come.
    private func close() {
        let (waiters, connection) = state.withLockedValue { state in
            let result = (state.waiters, state.connection)
            state = State(phase: .closed)
            return result
        }
        for waiter in waiters { waiter.completion.complete(.failure(Self.closed)) }
        connection?.finish()
    }

    /// Nobody waits for this node any more.
    private func retire() {
        // First out of sight, so that the next command for this node makes a new link.
        retired()
        let waiters = state.withLockedValue { state in
            let waiters = state.waiters
            state = State(phase: .away(reason: "\(node) has left the Cluster"))
            return waiters
        }
        for waiter in waiters {
            waiter.completion.complete(.failure(Self.unavailable("\(node) has left the Cluster")))
        }
    }
}
