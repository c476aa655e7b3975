/// How the Redis to be reached is laid out.
public enum RedisDeployment: Sendable, Hashable, CustomStringConvertible {
    /// One server at a fixed address.
    case single(RedisEndpoint)
    /// A master and its replicas, watched over by Sentinels. The master is asked for by its name. At least one Sentinel.
    case sentinel([RedisEndpoint], masterName: String)
    /// A Redis Cluster, and the nodes that are asked first. At least one; the others are learnt from them.
    case cluster(seeds: [RedisEndpoint])

    public var isCluster: Bool {
        if case .cluster = self { return true }
        return false
    }

    public var description: String {
        switch self {
        case .single(let endpoint): "\(endpoint)"
        case .sentinel(let sentinels, let name): "master \(name) of Sentinel \(Self.list(sentinels))"
        case .cluster(let seeds): "Cluster \(Self.list(seeds))"
        }
    }

    private static func list(_ endpoints: [RedisEndpoint]) -> String {
        endpoints.map(\.description).joined(separator: ", ")
    }
}
