/// A real Redis Cluster of several processes. Use it through ``withRedisCluster(_:isolation:_:)``, which always stops it.
///
/// Kill, pause and restart single nodes through ``servers``.
public actor RedisCluster {
    public struct Options: Sendable {
        public var primaries = 3
        public var replicasOfEach = 1
        /// A node that is silent for this long has failed for the others (`cluster-node-timeout`).
        public var nodeTimeout = Duration.milliseconds(1500)
        public var password: String?
        /// For each node, as in redis.conf, beside `appendonly yes`.
        public var directives: [String] = []

        public init() {}
    }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// A line of `CLUSTER NODES`.
    public struct Node: Sendable {
        public let id: String
        public let port: Int
        public let isPrimary: Bool
        /// Of a replica: the id of its primary.
        public let primary: String?
        /// Whether the others call it failed, for sure or perhaps.
        public let hasFailed: Bool
        public let slots: [ClosedRange<Int>]

        public var slotCount: Int { slots.reduce(0) { $0 + $1.count } }
    }

    /// The primaries at the start come first, then their replicas in the same order.
    public nonisolated let servers: [RedisServer]
    private nonisolated let options: Options

    /// `redis+cluster://` with all nodes.
    public nonisolated var url: String {
        let login = options.password.map { ":\($0)@" } ?? ""
        return "redis+cluster://\(login)" + servers.map { "127.0.0.1:\($0.port ?? 0)" }.joined(separator: ",")
    }

    /// Starts the nodes, joins them and waits until each finds the Cluster whole.
    public static func start(_ options: Options = Options()) async throws -> RedisCluster {
        var started: [RedisServer] = []
        do {
            for _ in 0..<options.primaries * (1 + options.replicasOfEach) {
                started.append(try await RedisServer.start(nodeOptions(options)))
            }
            let cluster = RedisCluster(servers: started, options: options)
            try await cluster.join()
            return cluster
        } catch {
            for server in started { await server.stop() }
            throw error
        }
    }

    private init(servers: [RedisServer], options: Options) {
        self.servers = servers
        self.options = options
    }

    private static func nodeOptions(_ options: Options) -> RedisServer.Options {
        var lines = [
            "appendonly yes", "repl-diskless-sync-delay 0", "cluster-config-file nodes.conf",
            "cluster-node-timeout \(milliseconds(options.nodeTimeout))", "cluster-replica-validity-factor 0",
            "cluster-allow-replica-migration no",
        ]
        if let password = options.password { lines.append("masterauth \(password)") }
        var node = RedisServer.Options(.tcp, password: options.password, directives: lines + options.directives)
        node.mode = .clusterNode
        return node
    }

    private func join() async throws {
        let first = servers[0]
        for (number, server) in servers.enumerated() {
            try await server.ask("cluster", "set-config-epoch", String(number + 1))
            guard number < options.primaries else { continue }
            let start = 16384 * number / options.primaries
            let end = 16384 * (number + 1) / options.primaries - 1
            try await server.ask("cluster", "addslotsrange", String(start), String(end))
        }
        for server in servers.dropFirst() {
            try await server.ask(
                "cluster", "meet", "127.0.0.1", String(first.port ?? 0), String(first.busPort ?? 0))
        }
        for (number, server) in servers.enumerated().dropFirst(options.primaries) {
            let primary = try await servers[number % options.primaries].ask("cluster", "myid")
            // Refused until the two have heard of one another.
            try await wait("joined", .seconds(60)) {
                try await server.ask("cluster", "replicate", primary)
                return true
            }
        }
        try await waitUntilHealthy(timeout: .seconds(60))
    }

    // MARK: who is who

    /// What a running node says of all of them.
    public func nodes() async throws -> [Node] {
        var lastError: any Error = Failure(description: "no node of the Cluster runs")
        for server in servers where await server.isRunning {
            do {
                return Self.parse(try await server.ask("cluster", "nodes", timeout: .seconds(2)))
            } catch {
                lastError = error
            }
        }
        throw lastError
    }

    /// The servers that own slots at present.
    public func primaries() async throws -> [RedisServer] {
        try await nodes().filter { $0.isPrimary && !$0.slots.isEmpty && !$0.hasFailed }.compactMap { server($0) }
    }

    public func owner(ofSlot slot: Int) async throws -> RedisServer {
        let node = try await nodes().first { $0.isPrimary && $0.slots.contains { $0.contains(slot) } }
        guard let server = node.flatMap({ server($0) }) else { throw Failure(description: "slot \(slot) has no owner") }
        return server
    }

    /// A replica of a primary.
    public func replica(of primary: RedisServer) async throws -> RedisServer {
        let nodes = try await nodes()
        let id = nodes.first { $0.port == primary.port }?.id
        guard let id, let replica = nodes.first(where: { $0.primary == id && !$0.hasFailed }),
            let server = server(replica)
        else { throw Failure(description: "the node has no replica") }
        return server
    }

    private func server(_ node: Node) -> RedisServer? { servers.first { $0.port == node.port } }

    private func id(of server: RedisServer) async throws -> String {
        guard let node = try await nodes().first(where: { $0.port == server.port }) else {
            throw Failure(description: "the Cluster does not know the node")
        }
        return node.id
    }

    private static func parse(_ text: String) -> [Node] {
        text.split(separator: "\n").compactMap { line -> Node? in
            let words = line.split(separator: " ")
            guard words.count >= 8,
                let port = words[1].split(separator: "@").first?.split(separator: ":").last.flatMap({ Int($0) })
            else { return nil }
            let flags = words[2].split(separator: ",")
            let slots = words.dropFirst(8).compactMap { word -> ClosedRange<Int>? in
                let ends = word.split(separator: "-").compactMap { Int($0) }
                guard let first = ends.first, let last = ends.last, !word.hasPrefix("[") else { return nil }
                return first...last
            }
            return Node(
                id: String(words[0]), port: port, isPrimary: flags.contains("master"),
                primary: words[3] == "-" ? nil : String(words[3]),
                hasFailed: flags.contains("fail") || flags.contains("fail?"), slots: slots)
        }
    }

    // MARK: changes

    /// Moves slots with their keys, as an operator does it, while clients go on.
    ///
    /// - Parameters:
    ///   - source: Nil: the primary with the most slots.
    ///   - target: Nil: the primary with the fewest slots.
    public func reshard(
        slots: Int, from source: RedisServer? = nil, to target: RedisServer? = nil, timeout: Duration = .seconds(120)
    ) async throws {
        let primaries = try await nodes().filter { $0.isPrimary && !$0.hasFailed }
            .sorted { $0.slotCount < $1.slotCount }
        let from = primaries.first { $0.port == source?.port } ?? primaries.last { $0.port != target?.port }
        let to = primaries.first { $0.port == target?.port } ?? primaries.first { $0.port != from?.port }
        guard let from, let to else { throw Failure(description: "there are no two primaries") }
        let command = [
            "--cluster", "reshard", "127.0.0.1:\(to.port)", "--cluster-from", from.id, "--cluster-to", to.id,
            "--cluster-slots", String(slots), "--cluster-yes",
        ]
        // Nodes that do not agree yet on who has which slot fail its check, before anything is moved.
        for _ in 0..<20 {
            do {
                _ = try await RedisCLI.run(command, password: options.password, timeout: timeout)
                return
            } catch  where "\(error)".contains("Cluster Check") && !"\(error)".contains("Moving slot") {
                try await Task.sleep(for: .milliseconds(500))
            }
        }
        _ = try await RedisCLI.run(command, password: options.password, timeout: timeout)
    }

    /// Opens the migration of a slot: from now on its owner answers ASK for keys it does not have.
    public func beginMigration(ofSlot slot: Int, to target: RedisServer) async throws {
        let source = try await owner(ofSlot: slot)
        try await target.ask("cluster", "setslot", String(slot), "importing", try await id(of: source))
        try await source.ask("cluster", "setslot", String(slot), "migrating", try await id(of: target))
    }

    /// Moves keys of a slot whose migration is open.
    ///
    /// - Parameter keys: Nil: all of them.
    public func moveKeys(ofSlot slot: Int, keys: [String]? = nil, to target: RedisServer) async throws {
        let source = try await owner(ofSlot: slot)
        let login = options.password.map { ["auth", $0] } ?? []
        while true {
            let batch: [String]
            if let keys {
                batch = keys
            } else {
                batch = try await source.ask("cluster", "getkeysinslot", String(slot), "100")
                    .split(separator: "\n").map(String.init)
            }
            guard !batch.isEmpty else { return }
            try await source.ask(
                ["migrate", "127.0.0.1", String(target.port ?? 0), "", "0", "5000"] + login + ["keys"] + batch,
                timeout: .seconds(10))
            if keys != nil { return }
        }
    }

    /// Gives a slot to its new owner; its keys must have been moved.
    public func finishMigration(ofSlot slot: Int, to target: RedisServer) async throws {
        let source = try await owner(ofSlot: slot)
        let id = try await id(of: target)
        try await target.ask("cluster", "setslot", String(slot), "node", id)
        try await source.ask("cluster", "setslot", String(slot), "node", id)
    }

    /// Lets a replica take over from its primary, which lives on as its replica; waits until that has happened.
    public func failOver(_ primary: RedisServer) async throws {
        let replica = try await replica(of: primary)
        try await wait("ready for a failover", .seconds(60)) {
            try await replica.ask("cluster", "failover")
            return true
        }
        try await wait("failed over", .seconds(60)) {
            try await replica.ask("role").hasPrefix("master")
        }
    }

    // MARK: waiting

    /// Waits until each running node finds the Cluster whole, every primary that runs owns slots, and each running
    /// replica is connected.
    public func waitUntilHealthy(timeout: Duration) async throws {
        try await wait("healthy", timeout) {
            var views: Set<String> = []
            for server in self.servers where await server.isRunning {
                guard try await server.ask("cluster", "info").contains("cluster_state:ok") else { return false }
                let nodes = Self.parse(try await server.ask("cluster", "nodes"))
                guard nodes.count == self.servers.count else { return false }
                let role = try await server.ask("role")
                guard role.hasPrefix("master") || role.contains("connected") else { return false }
                views.insert(
                    nodes.filter { $0.isPrimary && !$0.slots.isEmpty }.map { "\($0.port) \($0.slots)" }.sorted()
                        .joined(separator: ";"))
            }
            return views.count == 1
        }
    }

    /// Waits until another node than `old` owns what was its.
    public func waitForFailover(from old: RedisServer, timeout: Duration = .seconds(60)) async throws {
        try await wait("failed over", timeout) {
            for server in self.servers where server !== old {
                guard await server.isRunning else { continue }
                guard try await server.ask("cluster", "info").contains("cluster_state:ok") else { return false }
            }
            return try await self.nodes().contains { $0.port == old.port && (!$0.isPrimary || $0.slots.isEmpty) }
        }
    }

    private func wait(_ what: String, _ timeout: Duration, _ isDone: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + timeout
        while true {
            var lastError: (any Error)?
            do {
                if try await isDone() { return }
            } catch {
                lastError = error
            }
            guard ContinuousClock.now < deadline else {
                throw Failure(
                    description: "the Cluster is not \(what) after \(timeout)" + (lastError.map { ": \($0)" } ?? ""))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Ends all processes and removes their directories.
    public func stop() async {
        for server in servers { await server.stop() }
    }
}

/// Runs `body` with a Cluster that has just been started, and stops it whatever happens.
public func withRedisCluster<Result: Sendable>(
    _ options: RedisCluster.Options = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (RedisCluster) async throws -> Result
) async throws -> Result {
    let cluster = try await RedisCluster.start(options)
    return try await stopping(cluster, isolation: isolation, by: { await $0.stop() }, after: body)
}
