/// A primary, a replica and three Sentinels that watch over them, all real. Use it through
/// ``withSentinelGroup(_:isolation:_:)``, which always stops it.
///
/// Kill, pause and restart single processes through ``servers`` and ``sentinels``.
public actor SentinelGroup {
    public struct Options: Sendable {
        /// The name under which the Sentinels watch the primary.
        public var masterName = "main"
        /// Of the data servers.
        public var password: String?
        /// Of the Sentinels themselves.
        public var sentinelPassword: String?
        /// A primary that is silent for this long is down for a Sentinel. Sentinels ask once a second: with less than
        /// that they take a newly promoted primary for dead and go back.
        public var downAfter = Duration.milliseconds(1500)
        /// The primary refuses writes with fewer replicas than this (`min-replicas-to-write`), so that an isolated one
        /// stops taking writes, at the latest two seconds after it has lost them.
        public var minReplicas = 0
        /// For the data servers, as in redis.conf, beside `appendonly yes`.
        public var directives: [String] = []

        public init() {}
    }

    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// The data servers; the first is the primary at the start.
    public nonisolated let servers: [RedisServer]
    public nonisolated let sentinels: [RedisServer]
    private nonisolated let options: Options

    /// `redis+sentinel://` with all Sentinels and the password of the data servers.
    public nonisolated var url: String {
        let login = options.password.map { ":\($0)@" } ?? ""
        let addresses = sentinels.map { "127.0.0.1:\($0.port ?? 0)" }.joined(separator: ",")
        return "redis+sentinel://\(login)\(addresses)/\(options.masterName)"
    }

    /// Starts everything and waits until each Sentinel knows the replica and the other Sentinels.
    public static func start(_ options: Options = Options()) async throws -> SentinelGroup {
        var started: [RedisServer] = []
        do {
            let primary = try await RedisServer.start(dataOptions(options, replicaOf: nil))
            started.append(primary)
            started.append(try await RedisServer.start(dataOptions(options, replicaOf: primary)))
            for _ in 0..<3 { started.append(try await RedisServer.start(sentinelOptions(options, of: primary))) }
            let group = SentinelGroup(servers: started, options: options)
            try await group.waitUntilHealthy(timeout: .seconds(60))
            return group
        } catch {
            for server in started { await server.stop() }
            throw error
        }
    }

    private init(servers: [RedisServer], options: Options) {
        self.servers = Array(servers.prefix(2))
        sentinels = Array(servers.dropFirst(2))
        self.options = options
    }

    private static func dataOptions(_ options: Options, replicaOf primary: RedisServer?) -> RedisServer.Options {
        var lines = ["appendonly yes", "repl-diskless-sync-delay 0", "repl-timeout 5", "repl-ping-replica-period 1"]
        if options.minReplicas > 0 {
            lines += ["min-replicas-to-write \(options.minReplicas)", "min-replicas-max-lag 2"]
        }
        if let password = options.password { lines.append("masterauth \(password)") }
        if let primary { lines.append("replicaof 127.0.0.1 \(primary.port ?? 0)") }
        return .init(.tcp, password: options.password, directives: lines + options.directives)
    }

    private static func sentinelOptions(_ options: Options, of primary: RedisServer) -> RedisServer.Options {
        let name = options.masterName
        var lines = [
            "sentinel monitor \(name) 127.0.0.1 \(primary.port ?? 0) 2",
            "sentinel down-after-milliseconds \(name) \(milliseconds(options.downAfter))",
            "sentinel failover-timeout \(name) 4000",
        ]
        if let password = options.password { lines.append("sentinel auth-pass \(name) \(password)") }
        if let password = options.sentinelPassword { lines.append("sentinel sentinel-pass \(password)") }
        var options = RedisServer.Options(.tcp, password: options.sentinelPassword, directives: lines)
        options.mode = .sentinel
        return options
    }

    // MARK: who is who

    /// The data server that the Sentinels call the primary: asks the first that answers.
    public func primary() async throws -> RedisServer {
        for sentinel in sentinels where await sentinel.isRunning {
            guard
                let reply = try? await sentinel.ask(
                    "sentinel", "get-master-addr-by-name", options.masterName, timeout: .seconds(2)),
                let port = reply.split(separator: "\n").last.flatMap({ Int($0) }),
                let server = servers.first(where: { $0.port == port })
            else { continue }
            return server
        }
        throw Failure(description: "no Sentinel names a primary")
    }

    /// The other one.
    public func replica() async throws -> RedisServer {
        let primary = try await primary()
        return servers.first { $0 !== primary } ?? primary
    }

    // MARK: waiting

    /// Waits until each running Sentinel knows the others and a replica that is up to date.
    public func waitUntilHealthy(timeout: Duration) async throws {
        try await wait("healthy", timeout) {
            for sentinel in self.sentinels where await sentinel.isRunning {
                let master = try await sentinel.ask("sentinel", "master", self.options.masterName)
                let fields = Self.pairs(master)
                guard fields["num-other-sentinels"] == "\(self.sentinels.count - 1)", fields["flags"] == "master",
                    (fields["num-slaves"].flatMap { Int($0) } ?? 0) > 0
                else { return false }
                let replica = try await sentinel.ask("sentinel", "replicas", self.options.masterName)
                guard Self.pairs(replica)["master-link-status"] == "ok" else { return false }
            }
            return true
        }
    }

    /// Waits until all running Sentinels call another server the primary than `old`, and that one says so too.
    ///
    /// An old primary that lives goes on for up to 20 seconds before the Sentinels make it a replica.
    public func waitForFailover(from old: RedisServer, timeout: Duration = .seconds(60)) async throws {
        try await wait("failed over", timeout) {
            let new = try await self.primary()
            guard new !== old else { return false }
            for sentinel in self.sentinels where await sentinel.isRunning {
                let fields = Self.pairs(try await sentinel.ask("sentinel", "master", self.options.masterName))
                guard fields["port"] == "\(new.port ?? 0)", fields["flags"] == "master" else { return false }
            }
            return try await new.ask("role", timeout: .seconds(2)).hasPrefix("master")
        }
    }

    /// Asks a Sentinel to make the replica the primary, and waits until that has happened. The old primary lives on.
    public func failOver() async throws {
        let old = try await primary()
        try await wait("failing over", .seconds(60)) {
            for sentinel in self.sentinels where await sentinel.isRunning {
                // Refused while another failover is under way, or right after one.
                if (try? await sentinel.ask("sentinel", "failover", self.options.masterName)) != nil { return true }
            }
            return false
        }
        try await waitForFailover(from: old)
    }

    /// Ends all processes and removes their directories.
    public func stop() async {
        for server in sentinels + servers { await server.stop() }
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
                    description: "the Sentinel group is not \(what) after \(timeout)"
                        + (lastError.map { ": \($0)" } ?? ""))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Lines that are names and values in turn.
    private static func pairs(_ text: String) -> [String: String] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var pairs: [String: String] = [:]
        for index in stride(from: 0, to: lines.count - 1, by: 2) {
            pairs[String(lines[index])] = String(lines[index + 1])
        }
        return pairs
    }
}

func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
}

/// Runs `body` with a Sentinel group that has just been started, and stops it whatever happens.
public func withSentinelGroup<Result: Sendable>(
    _ options: SentinelGroup.Options = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (SentinelGroup) async throws -> Result
) async throws -> Result {
    let group = try await SentinelGroup.start(options)
    return try await stopping(group, isolation: isolation, by: { await $0.stop() }, after: body)
}
