extension RedisDeployment {
    /// The topology that follows this layout.
    func topology(factory: ConnectionFactory) -> any RedisTopology {
        switch self {
        case .single(let endpoint): SingleNodeTopology(endpoint: endpoint)
        case .sentinel(let sentinels, let name):
            SentinelTopology(sentinels: sentinels, masterName: name, factory: factory)
        case .cluster(let seeds): ClusterTopology(seeds: seeds, factory: factory)
        }
    }
}
