import Logging
import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Sealing

/// A store on a real redis-server of its own, or on a Cluster.
struct StoreFixture {
    /// On a Cluster the first of its nodes.
    let server: RedisServer
    let client: RedisClient
    let link: RedisLink
    let store: RedisAccountStore
    let directory: RedisAccountDirectory
    let schedule: RedisScheduleStore
    let leases: RedisLeaseStore

    static let instance = try! InstanceID("instance-1")
    static let provider = try! ProviderName("acme")

    static func run(
        _ options: RedisServer.Options = .init(), partitions: Int = 1, ring: KeyRing? = nil,
        durability: Durability = .none, durabilityTimeout: Duration = .seconds(1),
        isFrugal: Bool = false, _ body: (StoreFixture) async throws -> Void
    ) async throws {
        let ring = try ring ?? KeyRing(keys: [.generate()])
        try await withRedisServer(options) { server in
            try await run(
                url: server.url, keys: Keys(partitions: partitions), ring: ring, durability: durability,
                durabilityTimeout: durabilityTimeout, isFrugal: isFrugal, server: server, body)
        }
    }

    /// A store under a prefix of its own in a Cluster, as an instance opens it.
    static func run(
        on cluster: RedisCluster, prefix: String, _ body: (StoreFixture) async throws -> Void
    ) async throws {
        let partitions = Keys.partitions(on: try RedisConfiguration(url: cluster.url).deployment)
        try await run(
            url: cluster.url, keys: Keys(prefix: prefix, partitions: partitions),
            ring: try KeyRing(keys: [.generate()]), server: cluster.servers[0], body)
    }

    /// A store behind a proxy that can spoil the traffic.
    static func runBehindProxy(_ body: (StoreFixture, FaultProxy) async throws -> Void) async throws {
        let ring = try KeyRing(keys: [.generate()])
        try await withRedisServer(.init()) { server in
            let proxy = try await FaultProxy.start(to: .unixSocket(server.socketPath ?? ""))
            do {
                try await run(
                    url: "redis://127.0.0.1:\(proxy.port)", keys: Keys(partitions: 1), ring: ring, server: server
                ) { fixture in try await body(fixture, proxy) }
            } catch {
                await proxy.close()
                throw error
            }
            await proxy.close()
        }
    }

    private static func run(
        url: String, keys: Keys, ring: KeyRing, durability: Durability = .none,
        durabilityTimeout: Duration = .seconds(1), isFrugal: Bool = false, server: RedisServer,
        _ body: (StoreFixture) async throws -> Void
    ) async throws {
        var configuration = try RedisConfiguration(url: url)
        configuration.commandTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(60)
        let client = RedisClient(configuration: configuration, logger: .quiet)
        let running = Task { try await client.run() }
        do {
            try await client.waitUntilReady(timeout: .seconds(60))
            let clock = FleetClock(initialWall: WallTime(milliseconds: 0))
            let link = RedisLink(
                client: client, keys: keys, ring: ring, clock: clock, durability: durability,
                durabilityTimeout: durabilityTimeout, isFrugal: isFrugal)
            try await StoreMeta.open(link)
            try await body(
                StoreFixture(
                    server: server, client: client, link: link, store: RedisAccountStore(link: link, origin: instance),
                    directory: RedisAccountDirectory(link: link, origin: instance),
                    schedule: RedisScheduleStore(link: link), leases: RedisLeaseStore(link: link)))
        } catch {
            running.cancel()
            _ = await running.result
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    // MARK: Short forms

    /// A command whose first argument is a key goes to the key's node.
    func redis(_ name: String, _ arguments: any RedisArgument...) async throws -> RESPValue {
        let key = (arguments.first as? String).flatMap { $0.hasPrefix(link.keys.prefix) ? $0 : nil }
        return try await client.send(RedisCommand(name, arguments: arguments), key: key)
    }

    func now() async throws -> WallTime {
        let time = try await redis("TIME").array ?? []
        let seconds = time.first?.int ?? 0
        let micros = time.last?.int ?? 0
        return WallTime(milliseconds: seconds * 1000 + micros / 1000)
    }

    /// What `body` returns, and the server's time before and after it.
    func timed<Value>(
        _ body: () async throws -> Value
    ) async throws -> (value: Value, times: ClosedRange<WallTime>) {
        let before = try await now()
        let value = try await body()
        return (value, before...max(before, try await now()))
    }

    @discardableResult
    func add(
        _ id: String, refresh: String = "refresh-1", access: String? = nil, expiresIn: Duration = .seconds(3600),
        dueIn: Duration = .seconds(3000), overwrite: OverwriteRule = .always, ifGeneration: Generation? = nil,
        provider: ProviderName = provider, name: String? = nil
    ) async throws -> PutReply {
        let now = try await now()
        return try await directory.put(
            AccountPut(
                id: AccountID(id), provider: provider, name: name,
                credentials: Credentials(
                    refreshToken: Secret(refresh), accessToken: access.map { Secret($0) },
                    expiresAt: access == nil ? nil : now + expiresIn),
                dueAt: now + dueIn, overwrite: overwrite, ifGeneration: ifGeneration))
    }

    func begin(
        _ id: String, _ attempt: String, demand: RefreshDemand? = nil, lockTTL: Duration = .seconds(600),
        recovering: String? = nil, ignoresBackoff: Bool = false, floor: Int64? = nil, failoverHold: Duration = .zero
    ) async throws -> BeginReply {
        let account = try AccountID(id)
        let generation = try await directory.read(account)?.generation ?? Generation(0)
        return try await store.begin(
            BeginRequest(
                account: account, provider: Self.provider, demand: demand ?? .newerThan(generation),
                attempt: AttemptID(rawValue: attempt), origin: Self.instance, lockTTL: lockTTL,
                recovering: recovering.map { AttemptID(rawValue: $0) }, ignoresBackoff: ignoresBackoff,
                floor: floor.map { Generation($0) }, failoverHold: failoverHold))
    }

    func commit(
        _ id: String, _ attempt: String, generation: Int64, access: String = "access-new",
        refresh: String = "refresh-new", occasion: CommitRequest.Occasion = .first
    ) async throws -> CommitReply {
        let now = try await now()
        return try await store.commit(
            CommitRequest(
                account: AccountID(id), provider: Self.provider, attempt: AttemptID(rawValue: attempt),
                generation: Generation(generation), accessToken: Secret(access), refreshToken: Secret(refresh),
                tokenType: "Bearer", expiresAt: now + .seconds(3600), obtainedAt: now, dueAt: now + .seconds(3000),
                isRecovery: false, occasion: occasion))
    }

    func settle(
        _ id: String, _ attempt: String, generation: Int64, _ disposition: SettleRequest.Disposition,
        kind: RefreshFault.Kind, retryAfter: Duration = .seconds(60), pause: Duration? = nil
    ) async throws -> SettleReply {
        try await store.settle(
            SettleRequest(
                account: AccountID(id), provider: Self.provider, attempt: AttemptID(rawValue: attempt),
                generation: Generation(generation), disposition: disposition,
                fault: RefreshFault(kind: kind, message: "what happened"), retryAfter: retryAfter,
                pauseProvider: pause, health: kind == .misconfigured ? .failing : .unknown))
    }

    func account(_ id: String) async throws -> AccountSnapshot? { try await directory.read(AccountID(id)) }

    func isDue(_ id: String) async throws -> Bool {
        let partition = link.keys.partitionNumber(try AccountID(id))
        return !(try await redis("ZSCORE", link.keys.due(partition, Self.provider), id).isNull)
    }
}

extension ClosedRange<WallTime> {
    /// When what lasts so long from one of these times is over.
    func later(by duration: Duration) -> Self { (lowerBound + duration)...(upperBound + duration) }

    /// What may be left, at one of these times, of what has lasted since another of them.
    func rest(of duration: Duration) -> ClosedRange<Duration> { (duration - (upperBound - lowerBound))...duration }
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

extension BeginReply {
    /// The word for the case, to compare with.
    var word: String {
        switch self {
        case .granted(let claim): claim.isRecovery ? "granted for recovery" : "granted"
        case .fresh: "fresh"
        case .blocked: "blocked"
        case .cooling: "cooling"
        case .paused: "paused"
        case .limited: "limited"
        case .overLimit: "over the limit"
        case .held: "held"
        case .pending: "pending"
        case .foreignIntent: "foreign"
        case .missing: "missing"
        case .undurable: "undurable"
        case .quarantined: "quarantined"
        case .rolledBack: "rolled back"
        }
    }

    var claim: RefreshClaim? {
        if case .granted(let claim) = self { return claim }
        return nil
    }
}
