import Logging
import NIOConcurrencyHelpers
import NIOCore

/// Keeps one connection to one node: connects, waits for its end, backs off, connects again.
final class NodeLink: Sendable {
    private struct State {
        var phase = RedisConnectionState.idle
        var connection: RedisConnection?
        var waiters: [Waiter] = []
    }

    private struct Waiter {
        let completion: Completion<RedisConnection>
        /// Commands wait for the first attempt only; `waitUntilReady` waits through failures.
        let untilReady: Bool
    }

    let node: RedisNodeID
    private let factory: ConnectionFactory
    private let logger: Logger
    /// Called with each new connection before it is announced.
    private let prepare: @Sendable (RedisConnection) async throws(RedisError) -> Void
    /// Called once each prepared connection has ended.
    private let ended: @Sendable () -> Void
    private let state = NIOLockedValueBox(State())

    init(
        node: RedisNodeID, factory: ConnectionFactory, logger: Logger,
        prepare: @escaping @Sendable (RedisConnection) async throws(RedisError) -> Void = { _ throws(RedisError) in },
        ended: @escaping @Sendable () -> Void = {}
    ) {
        self.node = node
        self.factory = factory
        self.logger = logger
        self.prepare = prepare
        self.ended = ended
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
        let timer = factory.group.any().scheduleTask(in: TimeAmount(clamping: patience)) {
            let why = self.phase
            completion.complete(.failure(Self.unavailable("\(why)")))
            self.forget(completion)
        }
        defer {
            timer.cancel()
            forget(completion)
        }
        return try await completion.value()
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

    /// Returns when the task is cancelled, after the connection has closed.
    func run() async {
        var attempt = 0
        while !Task.isCancelled {
            let outcome = await connectAndServe()
            guard !Task.isCancelled else { break }
            if outcome.lived >= .seconds(1) { attempt = 0 }
            let delay = factory.configuration.reconnectBackoff.delay(
                attempt: attempt, fraction: .random(in: 0...1))
            attempt += 1
            try? await Task.sleep(for: delay)
        }
        close()
    }

    private func connectAndServe() async -> (reason: RedisError, lived: Duration) {
        state.withLockedValue { if $0.phase == .idle { $0.phase = .connecting } }
        do throws(RedisError) {
            let connection = try await factory.connect(to: node)
            do throws(RedisError) {
                try await prepare(connection)
            } catch {
                connection.close(error)
                ended()
                throw error
            }
            let since = ContinuousClock.now
            announce(connection)
            let reason = await withTaskCancellationHandler {
                await connection.end()
            } onCancel: {
                close()
            }
            setAway(reason)
            ended()
            return (reason, ContinuousClock.now - since)
        } catch {
            setAway(error)
            return (error, .zero)
        }
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
}
