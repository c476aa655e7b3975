import NIOConcurrencyHelpers

/// Dedicated connections, kept for the next use while they are clean.
final class LeasePool: Sendable {
    private struct State {
        var idle: [RedisNodeID: [RedisConnection]] = [:]
        var lent: [RedisNodeID: [RedisConnection]] = [:]
        var isClosed = false
    }

    private let connector: NodeConnector
    private let maxIdle: Int
    private let state = NIOLockedValueBox(State())

    init(connector: NodeConnector, maxIdle: Int) {
        self.connector = connector
        self.maxIdle = maxIdle
    }

    func take(_ node: RedisNodeID) async throws(RedisError) -> RedisConnection {
        while let connection = lendIdle(node) {
            if connection.isActive, connector.topology.isCurrent(connection.endpoint, of: node) { return connection }
            giveBack(connection, of: node, isClean: false)
        }
        let connection = try await connector.connect(to: node)
        state.withLockedValue { $0.lent[node, default: []].append(connection) }
        if let error = connector.refuseIfOutdated(connection, of: node) {
            giveBack(connection, of: node, isClean: false)
            throw error
        }
        return connection
    }

    private func lendIdle(_ node: RedisNodeID) -> RedisConnection? {
        state.withLockedValue { state in
            guard let connection = state.idle[node]?.popLast() else { return nil }
            state.lent[node, default: []].append(connection)
            return connection
        }
    }

    func giveBack(_ connection: RedisConnection, of node: RedisNodeID, isClean: Bool) {
        let isKept = state.withLockedValue { state in
            state.lent[node]?.removeAll { $0 === connection }
            if state.lent[node]?.isEmpty == true { state.lent[node] = nil }
            guard isClean, !state.isClosed, connection.isActive, state.idle[node, default: []].count < maxIdle else {
                return false
            }
            state.idle[node, default: []].append(connection)
            return true
        }
        if !isKept { connection.finish() }
    }

    /// Closes what leads to an address that is not the node's any more, lent or idle.
    func dropOutdated(_ node: RedisNodeID, because reason: RedisError) {
        let outdated = state.withLockedValue { state in
            let connections = (state.idle[node] ?? []) + (state.lent[node] ?? [])
            let outdated = connections.filter { !connector.topology.isCurrent($0.endpoint, of: node) }
            state.idle[node]?.removeAll { connection in outdated.contains { $0 === connection } }
            return outdated
        }
        for connection in outdated { connection.close(reason) }
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
