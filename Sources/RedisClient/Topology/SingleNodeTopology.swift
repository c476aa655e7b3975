/// One server at a fixed address.
struct SingleNodeTopology: RedisTopology {
    private static let node = RedisNodeID("primary")
    private let endpoint: RedisEndpoint

    init(endpoint: RedisEndpoint) {
        self.endpoint = endpoint
    }

    func node(forKey key: String?) -> RedisNodeID? { Self.node }
    var onlyNode: RedisNodeID? { Self.node }
    var subscriptionNode: RedisNodeID { Self.node }
    func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint { endpoint }
}
