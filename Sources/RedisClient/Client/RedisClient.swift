import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A Redis client: one multiplexed, pipelined connection for commands to each node, one for subscriptions.
///
/// ``run()`` keeps the connections; commands sent before it has connected for the first time wait for that attempt,
/// later ones fail fast with ``RedisError/Code/unavailable`` while the server is away. Nothing is ever retried here,
/// because only the caller knows what may run twice.
public final class RedisClient: Sendable, Service {
    let configuration: RedisConfiguration
    let factory: ConnectionFactory
    private let topology: any RedisTopology
    private let logger: Logger
    private let counter = CommandCounter()
    private let hub: SubscriptionHub
    private let subscriptionLink: NodeLink
    private let leases: LeasePool
    private let links = NIOLockedValueBox(Links())
    private let linkStarts: AsyncStream<NodeLink>
    private let linkStart: AsyncStream<NodeLink>.Continuation

    private struct Links {
        var byNode: [RedisNodeID: NodeLink] = [:]
        var isRunning = false
        var isClosed = false
    }

    /// - Parameter topology: Nil: the one server that the configuration names.
    public init(
        configuration: RedisConfiguration,
        topology: (any RedisTopology)? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger
    ) {
        let topology = topology ?? SingleNodeTopology(endpoint: configuration.endpoint)
        let factory = ConnectionFactory(
            configuration: configuration, group: eventLoopGroup, topology: topology, counter: counter)
        let hub = SubscriptionHub()
        self.configuration = configuration
        self.topology = topology
        self.factory = factory
        self.logger = logger
        self.hub = hub
        leases = LeasePool(factory: factory, maxIdle: configuration.maxIdleLeases)
        subscriptionLink = NodeLink(
            node: topology.subscriptionNode, factory: factory, logger: logger,
            prepare: { connection throws(RedisError) in try await hub.adopt(connection) },
            ended: { hub.abandon() }
        )
        (linkStarts, linkStart) = AsyncStream.makeStream()
    }

    // MARK: life

    /// Connects and keeps reconnecting. Returns on graceful shutdown or cancellation, once commands in flight have
    /// their replies (at the latest at their deadlines) and the connections are closed.
    ///
    /// - Throws: ``RedisError/Code/misuse`` when called a second time.
    public func run() async throws {
        let mayRun = links.withLockedValue { links in
            defer { links.isRunning = true }
            return !links.isRunning
        }
        guard mayRun else { throw RedisError(.misuse, "RedisClient.run() is called once.") }
        _ = try? link(forKey: nil)
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    await self.hub.waitForDemand()
                    await self.subscriptionLink.run()
                    self.hub.close()
                }
                for await link in self.linkStarts {
                    group.addTask { await link.run() }
                }
                group.cancelAll()
            }
        }
        links.withLockedValue { $0.isClosed = true }
        leases.close()
    }

    /// Waits until commands can be sent, through failed attempts to connect.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` with the reason when it takes longer than `timeout`.
    public func waitUntilReady(timeout: Duration) async throws(RedisError) {
        try await link(forKey: nil).waitUntilReady(patience: timeout)
    }

    /// Where the connection for commands stands.
    public var connectionState: RedisConnectionState {
        do throws(RedisError) {
            return try link(forKey: nil).phase
        } catch {
            return error.code == .closed ? .closed : .away(reason: error.message)
        }
    }

    /// Where the connection for subscriptions stands; ``RedisConnectionState/idle`` until somebody subscribes.
    public var subscriptionState: RedisConnectionState { subscriptionLink.phase }

    /// Commands sent since the start, by name: those of the client itself (PING, AUTH, …) included.
    public var commandCounts: [String: Int] { counter.snapshot }

    // MARK: commands

    /// Sends a command to the node of `key` and returns its reply.
    ///
    /// - Parameter timeout: Nil: ``RedisConfiguration/commandTimeout``.
    /// - Throws: ``RedisError/Code/server`` for an error reply; see ``RedisError/mayHaveExecuted`` for the others.
    public func send(
        _ command: RedisCommand, key: String? = nil, timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try SharedUse.check(command)
        let (connection, timeout) = try await connection(forKey: key, timeout: timeout)
        let reply = try await connection.send(command, timeout: timeout)
        if case .error(let error) = reply { throw .server(error) }
        return reply
    }

    /// Sends commands in one write, so that no other command runs between them on this connection, and returns their
    /// replies in order; error replies are values.
    ///
    /// - Throws: Everything but ``RedisError/Code/server``. An error holds for all commands of the pipeline.
    public func pipeline(
        _ commands: [RedisCommand], key: String? = nil, timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        try SharedUse.check(commands)
        let (connection, timeout) = try await connection(forKey: key, timeout: timeout)
        return try await connection.pipeline(commands, timeout: timeout)
    }

    /// Runs a script by `EVALSHA`, and on `NOSCRIPT` by `EVAL` on the same connection. The first key decides the node.
    ///
    /// - Parameter timeout: For both together. Nil: ``RedisConfiguration/commandTimeout``.
    /// - Throws: As ``send(_:key:timeout:)``.
    public func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        let (connection, timeout) = try await connection(forKey: keys.first, timeout: timeout)
        return try await connection.evaluate(script, keys: keys, arguments: arguments, timeout: timeout)
    }

    /// Lends a connection of its own, for what must not run on the shared one: `WAIT` after a write, `WATCH`.
    ///
    /// A connection whose reply order could be in doubt (a lost reply, a cancelled command, an error thrown by `body`)
    /// is closed instead of reused. The body must not leave changed state behind (`SELECT`, an open `MULTI`).
    ///
    /// - Throws: ``RedisError/Code/unavailable`` while the server is away, and what `body` throws.
    public func withConnection<Result: Sendable>(
        key: String? = nil, _ body: (RedisLeasedConnection) async throws -> Result
    ) async throws -> Result {
        _ = try await connection(forKey: key, timeout: nil)
        let node = try topology.node(forKey: key)
        let connection = try await leases.take(node)
        let lease = RedisLeasedConnection(connection: connection, commandTimeout: configuration.commandTimeout)
        do {
            let result = try await body(lease)
            leases.giveBack(connection, of: node, isClean: lease.isClean)
            return result
        } catch {
            leases.giveBack(connection, of: node, isClean: false)
            throw error
        }
    }

    // MARK: subscriptions

    /// Subscribes to channels. ``RedisSubscriptionEvent/subscribed(channel:)`` comes for each once the server has
    /// confirmed it, and again after every reconnect.
    ///
    /// - Parameters:
    ///   - maxBufferedEvents: Unread events at most; more of them are replaced by
    ///     ``RedisSubscriptionEvent/disconnected``.
    ///   - maxBufferedBytes: Unread payload at most, in bytes, likewise.
    public func subscribe(
        to channels: [String], maxBufferedEvents: Int = 4096, maxBufferedBytes: Int = 16 << 20
    ) -> RedisSubscription {
        hub.subscribe(to: channels, maxEvents: maxBufferedEvents, maxBytes: maxBufferedBytes)
    }

    // MARK: inside

    private func link(forKey key: String?) throws(RedisError) -> NodeLink {
        let node = try topology.node(forKey: key)
        let link = links.withLockedValue { links -> NodeLink? in
            if let link = links.byNode[node] { return link }
            guard !links.isClosed else { return nil }
            let link = NodeLink(node: node, factory: factory, logger: logger)
            links.byNode[node] = link
            linkStart.yield(link)
            return link
        }
        guard let link else { throw NodeLink.closed }
        return link
    }

    private func connection(
        forKey key: String?, timeout: Duration?
    ) async throws(RedisError) -> (RedisConnection, timeout: Duration) {
        let timeout = timeout ?? configuration.commandTimeout
        let link = try link(forKey: key)
        if let connection = link.readyConnection { return (connection, timeout) }
        let started = ContinuousClock.now
        let connection = try await link.connection(patience: min(timeout, configuration.connectTimeout))
        return (connection, max(timeout - (ContinuousClock.now - started), .milliseconds(1)))
    }
}
