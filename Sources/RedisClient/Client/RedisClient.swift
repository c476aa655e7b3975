import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A Redis client: one multiplexed, pipelined connection for commands to each node, one for subscriptions.
///
/// ``run()`` keeps the connections; commands sent before it has connected for the first time wait for that attempt,
/// later ones fail fast with ``RedisError/Code/unavailable`` while the server is away. Nothing is ever retried here,
/// because only the caller knows what may run twice. Only what a Cluster's node has provably not executed (a redirect)
/// is sent again, within the command's own time.
public final class RedisClient: Sendable, Service {
    let configuration: RedisConfiguration
    private let topology: any RedisTopology
    private let connector: NodeConnector
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

    public init(
        configuration: RedisConfiguration,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger
    ) {
        let factory = ConnectionFactory(configuration: configuration, group: eventLoopGroup, counter: counter)
        let topology = configuration.deployment.topology(factory: factory)
        let connector = NodeConnector(factory: factory, topology: topology)
        let hub = SubscriptionHub()
        self.configuration = configuration
        self.topology = topology
        self.connector = connector
        self.logger = logger
        self.hub = hub
        leases = LeasePool(connector: connector, maxIdle: configuration.maxIdleLeases)
        subscriptionLink = NodeLink(
            node: topology.subscriptionNode, connector: connector, logger: logger,
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
        if let node = topology.onlyNode { _ = try? link(of: node) }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.topology.run(for: self) }
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

    /// Waits until commands can be sent, on a Cluster to every primary, through failed attempts to connect.
    ///
    /// - Throws: ``RedisError/Code/unavailable`` with the reason when it takes longer than `timeout`.
    public func waitUntilReady(timeout: Duration) async throws(RedisError) {
        if let node = topology.onlyNode { return try await link(of: node).waitUntilReady(patience: timeout) }
        let deadline = ContinuousClock.now + timeout
        while true {
            let state = state { $0.state(of: $1) }
            if state == .ready { return }
            guard state != .closed else { throw NodeLink.closed }
            guard ContinuousClock.now < deadline else {
                throw RedisError(.unavailable, "Redis is away, nothing was sent: \(state)")
            }
            do { try await Task.sleep(for: .milliseconds(10)) } catch {
                throw RedisError(.cancelled, "The calling task was cancelled.", mayHaveExecuted: false)
            }
        }
    }

    /// Where the connection for commands stands. On a Cluster it is ready while one primary can be reached: what has its
    /// keys there goes on without the others.
    public var connectionState: RedisConnectionState { state { $0.usability(of: $1) } }

    private func state(
        _ judge: (any RedisTopology, (RedisNodeID) -> RedisConnectionState) -> RedisConnectionState
    ) -> RedisConnectionState {
        let (byNode, isRunning, isClosed) = links.withLockedValue { ($0.byNode, $0.isRunning, $0.isClosed) }
        if isClosed { return .closed }
        return isRunning ? judge(topology) { byNode[$0]?.phase ?? .connecting } : .idle
    }

    /// Where the connection for subscriptions stands; ``RedisConnectionState/idle`` until somebody subscribes.
    public var subscriptionState: RedisConnectionState { subscriptionLink.phase }

    /// Commands sent since the start, by name: those of the client itself (PING, AUTH, …) included, and those that
    /// scripts usually run (``RedisScript/usualCommands``).
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
        return try await call(key: key, timeout: timeout) { connection, asking, timeout throws(RedisError) in
            try await connection.send(command, asking: asking, timeout: timeout)
        }
    }

    /// Sends commands in one write, so that no other command runs between them on this connection, and returns their
    /// replies in order; error replies are values. On a Cluster the keys of all commands share a slot.
    ///
    /// While that slot moves to another node, some commands may be redirected and others not; the redirected ones then
    /// run after the others. A transaction runs as a whole or not at all.
    ///
    /// - Throws: Everything but ``RedisError/Code/server``. An error holds for all commands of the pipeline.
    public func pipeline(
        _ commands: [RedisCommand], key: String? = nil, timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        try SharedUse.check(commands)
        guard !commands.isEmpty else { return [] }
        var route = try await route(forKey: key, timeout: timeout)
        var redirected = RedirectedPipeline(commands)
        while true {
            do throws(RedisError) {
                let connection = try await connection(to: route)
                let replies = try await connection.pipeline(
                    redirected.batch(asking: route.isAsking), timeout: route.remaining)
                guard let error = redirected.received(replies, asking: route.isAsking),
                    try await route.goesOn(after: error, on: connection)
                else { return redirected.replies }
            } catch {
                throw redirected.failure(error)
            }
        }
    }

    /// Runs a script by `EVALSHA`, and on `NOSCRIPT` by `EVAL` on the same connection. The first key decides the node.
    ///
    /// - Parameter timeout: For both together. Nil: ``RedisConfiguration/commandTimeout``.
    /// - Throws: As ``send(_:key:timeout:)``.
    public func evaluate(
        _ script: RedisScript, keys: [String], arguments: [any RedisArgument], timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await call(key: keys.first, timeout: timeout) { connection, asking, timeout throws(RedisError) in
            try await connection.evaluate(script, keys: keys, arguments: arguments, asking: asking, timeout: timeout)
        }
    }

    /// Lends a connection of its own, for what must not run on the shared one: `WAIT` after a write, `WATCH`.
    ///
    /// A connection whose reply order could be in doubt (a lost reply, a cancelled command, an error thrown by `body`)
    /// is closed instead of reused. On a Cluster it leads to the node of `key`, and its first command follows redirects;
    /// see ``RedisLeasedConnection``. The body must not leave changed state behind (`SELECT`, an open `MULTI`).
    ///
    /// - Throws: ``RedisError/Code/unavailable`` while the server is away, and what `body` throws.
    public func withConnection<Result: Sendable>(
        key: String? = nil, _ body: (RedisLeasedConnection) async throws -> Result
    ) async throws -> Result {
        let route = try await route(forKey: key, timeout: nil)
        _ = try await connection(to: route)
        let lease = RedisLeasedConnection(
            connection: try await leases.take(route.node), node: route.node, key: key, pool: leases,
            topology: topology, commandTimeout: configuration.commandTimeout)
        do {
            let result = try await body(lease)
            lease.giveBack(isClean: true)
            return result
        } catch {
            lease.giveBack(isClean: false)
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

    private func link(of node: RedisNodeID) throws(RedisError) -> NodeLink {
        let link = links.withLockedValue { links -> NodeLink? in
            if let link = links.byNode[node] { return link }
            guard !links.isClosed else { return nil }
            let link = NodeLink(
                node: node, connector: connector, logger: logger, retired: { [weak self] in self?.forget(node) })
            links.byNode[node] = link
            linkStart.yield(link)
            return link
        }
        guard let link else { throw NodeLink.closed }
        return link
    }

    private func forget(_ node: RedisNodeID) {
        links.withLockedValue { $0.byNode[node] = nil }
    }

    private func route(forKey key: String?, timeout: Duration?) async throws(RedisError) -> CallRoute {
        let timeout = timeout ?? configuration.commandTimeout
        if let node = topology.node(forKey: key) {
            return CallRoute(topology: topology, key: key, node: node, timeout: timeout)
        }
        guard !links.withLockedValue({ $0.isClosed }) else { throw NodeLink.closed }
        let started = ContinuousClock.now
        try await topology.settle(patience: min(timeout, configuration.connectTimeout))
        guard let node = topology.node(forKey: key) else {
            throw RedisError(.unavailable, "No node serves the key at present; nothing was sent.")
        }
        return CallRoute(
            topology: topology, key: key, node: node, timeout: timeout - (ContinuousClock.now - started))
    }

    private func connection(to route: CallRoute) async throws(RedisError) -> RedisConnection {
        let link = try link(of: route.node)
        if let connection = link.readyConnection { return connection }
        return try await link.connection(patience: min(route.remaining, configuration.connectTimeout))
    }

    private func call(
        key: String?, timeout: Duration?,
        _ perform: (RedisConnection, _ asking: Bool, Duration) async throws(RedisError) -> RESPValue
    ) async throws(RedisError) -> RESPValue {
        var route = try await route(forKey: key, timeout: timeout)
        while true {
            let connection = try await connection(to: route)
            let reply = try await perform(connection, route.isAsking, route.remaining)
            guard let error = reply.serverError else { return reply }
            guard try await route.goesOn(after: error, on: connection) else { throw .server(error) }
        }
    }
}

extension RedisClient: TopologyHost {
    func prepare(_ nodes: [RedisNodeID]) {
        for node in nodes { _ = try? link(of: node) }
    }

    func dropOutdated(_ node: RedisNodeID, because reason: RedisError) {
        if node == topology.subscriptionNode { subscriptionLink.dropOutdated(because: reason) }
        links.withLockedValue { $0.byNode[node] }?.dropOutdated(because: reason)
        leases.dropOutdated(node, because: reason)
    }
}
