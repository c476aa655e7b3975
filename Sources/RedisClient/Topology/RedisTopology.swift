/// One server as the topology tells servers apart; stays the same while its address changes.
public struct RedisNodeID: Sendable, Hashable, CustomStringConvertible {
    public let name: String
    public init(_ name: String) { self.name = name }
    public var description: String { name }
}

/// Decides where commands and subscriptions go. The one place that knows whether there is one server, a Sentinel set
/// or a Cluster.
///
/// The client asks ``node(forKey:)`` at every command and ``endpoint(of:)`` at every attempt to connect, and keeps no
/// answer longer than that.
public protocol RedisTopology: Sendable {
    /// The node that serves `key`; any node that takes writes where the key is nil. Called for every command: it must
    /// answer from memory.
    func node(forKey key: String?) throws(RedisError) -> RedisNodeID

    /// The node that carries subscriptions.
    var subscriptionNode: RedisNodeID { get }

    /// The address of a node now. Called before each attempt to connect; may ask other servers.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` where nobody knows the address at present.
    func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint

    /// Called once a new connection is authenticated and before it is used, with a way to ask the server. Throwing
    /// refuses the connection: Sentinel verifies `ROLE` here.
    func verify(
        _ node: RedisNodeID, ask: @Sendable (RedisCommand) async throws(RedisError) -> RESPValue
    ) async throws(RedisError)
}

extension RedisTopology {
    public func verify(
        _ node: RedisNodeID, ask: @Sendable (RedisCommand) async throws(RedisError) -> RESPValue
    ) async throws(RedisError) {}
}

/// One server at a fixed address.
public struct SingleNodeTopology: RedisTopology {
    private static let node = RedisNodeID("primary")
    private let endpoint: RedisEndpoint

    public init(endpoint: RedisEndpoint) {
        self.endpoint = endpoint
    }

    public func node(forKey key: String?) throws(RedisError) -> RedisNodeID { Self.node }
    public var subscriptionNode: RedisNodeID { Self.node }
    public func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint { endpoint }
}
