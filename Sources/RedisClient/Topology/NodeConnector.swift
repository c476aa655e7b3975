/// Makes connections to the nodes of a topology: finds the address, connects, lets the topology verify the server.
struct NodeConnector: Sendable {
    let factory: ConnectionFactory
    let topology: any RedisTopology

    /// - Throws: ``RedisError/Code/unavailable`` or ``RedisError/Code/configuration``, saying what to check.
    func connect(to node: RedisNodeID) async throws(RedisError) -> RedisConnection {
        var endpoint: RedisEndpoint?
        do throws(RedisError) {
            let address = try await topology.endpoint(of: node)
            endpoint = address
            let connection = try await factory.connect(to: address) { ask throws(RedisError) in
                try await topology.verify(node, at: address, ask: ask)
            }
            topology.connected(node)
            return connection
        } catch {
            throw topology.failed(node, at: endpoint, error)
        }
    }

    /// To be asked again once the connection is where ``TopologyHost/dropOutdated(_:because:)`` finds it: the address
    /// may have changed while the connection was being made.
    func refuseIfOutdated(_ connection: RedisConnection, of node: RedisNodeID) -> RedisError? {
        guard !topology.isCurrent(connection.endpoint, of: node) else { return nil }
        let error = RedisError(.unavailable, "\(connection.endpoint) is not in charge any more; nothing was sent.")
        connection.close(error)
        return error
    }
}
