/// One server as the topology tells servers apart; stays the same while its address changes.
struct RedisNodeID: Sendable, Hashable, CustomStringConvertible {
    let name: String
    init(_ name: String) { self.name = name }
    var description: String { name }
}

/// Decides where commands and subscriptions go. The one place that knows whether there is one server, a Sentinel set
/// or a Cluster.
///
/// The client asks ``node(forKey:)`` at every command and ``endpoint(of:)`` at every attempt to connect, and keeps no
/// answer longer than that.
protocol RedisTopology: Sendable {
    typealias Ask = @Sendable (RedisCommand) async throws(RedisError) -> RESPValue

    /// The node that serves `key`; any node that takes writes where the key is nil. Called for every command: it must
    /// answer from memory. Nil: not known yet, ``settle(patience:)`` waits for it.
    func node(forKey key: String?) -> RedisNodeID?

    /// The node, where there is ever only one.
    var onlyNode: RedisNodeID? { get }

    /// Waits for the outcome of the first look at the servers, at most `patience`.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` with the reason, where nothing could be learnt.
    func settle(patience: Duration) async throws(RedisError)

    /// The node that carries subscriptions.
    var subscriptionNode: RedisNodeID { get }

    /// The address of a node now. Called before each attempt to connect; may ask other servers.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` where nobody knows the address at present.
    func endpoint(of node: RedisNodeID) async throws(RedisError) -> RedisEndpoint

    /// Called once a new connection is authenticated and before it is used, with a way to ask the server. Throwing
    /// refuses the connection: Sentinel verifies `ROLE` here.
    func verify(_ node: RedisNodeID, at endpoint: RedisEndpoint, ask: Ask) async throws(RedisError)

    /// Whether a connection of the node may lead to this address. False closes it.
    func isCurrent(_ endpoint: RedisEndpoint, of node: RedisNodeID) -> Bool

    /// Whether a connection that was lost is to be replaced. False: the node has left, nobody waits for it.
    func isWanted(_ node: RedisNodeID) -> Bool

    /// A connection of the node is ready.
    func connected(_ node: RedisNodeID)

    /// A connection of the node could not be made, or was lost. Returns what to tell: the error, perhaps with more said.
    func failed(_ node: RedisNodeID, at endpoint: RedisEndpoint?, _ error: RedisError) -> RedisError

    /// What an error reply of the node asks for; nil where it is the command's answer.
    func advice(on error: RedisServerError, from node: RedisNodeID) -> TopologyAdvice?

    /// Where the whole stands, given where the connection of each node stands: ready when every key can be reached.
    func state(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState

    /// The same, ready as soon as some keys can be reached.
    func usability(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState

    /// Keeps what is known up to date until the task is cancelled.
    func run(for host: any TopologyHost) async
}

/// What an error reply asks the client to do. In each case the server did not execute the command.
enum TopologyAdvice: Sendable, Hashable {
    /// Send it to that node; with ASKING right before it where the node is only about to own the slot.
    case follow(RedisNodeID, asking: Bool)
    /// Try again a little later.
    case wait
    /// The answer stands, but this server is not the one to talk to any more.
    case leave
}

/// What a topology may ask of the client.
protocol TopologyHost: Sendable {
    /// Connects to these nodes without waiting for a command.
    func prepare(_ nodes: [RedisNodeID])

    /// Closes at once every connection of the node whose address is not current, and connects anew without back-off.
    func dropOutdated(_ node: RedisNodeID, because reason: RedisError)
}

/// What most topologies answer.
extension RedisTopology {
    var onlyNode: RedisNodeID? { nil }
    func settle(patience: Duration) async throws(RedisError) {}
    func verify(_ node: RedisNodeID, at endpoint: RedisEndpoint, ask: Ask) async throws(RedisError) {}
    func isCurrent(_ endpoint: RedisEndpoint, of node: RedisNodeID) -> Bool { true }
    func isWanted(_ node: RedisNodeID) -> Bool { true }
    func connected(_ node: RedisNodeID) {}
    func failed(_ node: RedisNodeID, at endpoint: RedisEndpoint?, _ error: RedisError) -> RedisError { error }
    func advice(on error: RedisServerError, from node: RedisNodeID) -> TopologyAdvice? { nil }
    func state(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState {
        onlyNode.map(phase) ?? .idle
    }
    func usability(of phase: (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState { state(of: phase) }
    func run(for host: any TopologyHost) async {}
}
