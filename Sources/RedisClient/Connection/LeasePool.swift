import NIOConcurrencyHelpers

/// Dedicated connections, kept for the next use while they are clean.
final class LeasePool: Sendable {
    private struct State {
        var idle: [RedisNodeID: [RedisConnection]] = [:]
        var isClosed = false
    }

    private let factory: ConnectionFactory
    private let maxIdle: Int
    private let state = NIOLockedValueBox(State())

    init(factory: ConnectionFactory, maxIdle: Int) {
        self.factory = factory
        self.maxIdle = maxIdle
    }

    func take(_ node: RedisNodeID) async throws(RedisError) -> RedisConnection {
        while let connection = state.withLockedValue({ $0.idle[node]?.popLast() }) {
            if connection.isActive { return connection }
        }
        return try await factory.connect(to: node)
    }

    func giveBack(_ connection: RedisConnection, of node: RedisNodeID, isClean: Bool) {
        let isKept = state.withLockedValue { state in
            guard isClean, !state.isClosed, connection.isActive, state.idle[node, default: []].count < maxIdle else {
                return false
            }
            state.idle[node, default: []].append(connection)
            return true
        }
        if !isKept { connection.finish() }
    }

    func close() {
        let connections = state.withLockedValue { state in
            state.isClosed = true
            defer { state.idle = [:] }
            return state.idle.values.flatMap { $0 }
        }
        for connection in connections { connection.finish() }
    }
}
