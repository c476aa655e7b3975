import Gateway
import Logging
import NIOConcurrencyHelpers
import NIOPosix
import PerennialTesting
import RefreshCore
import ServiceLifecycle

@testable import PerennialAPI

/// One instance with its fakes, and a server around it.
struct House: Sendable {
    static let start = WallTime(milliseconds: 1_795_255_020_500)

    let time = ManualTime(wall: House.start)
    let fleet: FakeFleet
    let endpoint: FakeEndpoint
    let journal = FakeJournal()
    let cache = TokenCache()
    let monitor = FakeMonitor()
    let readiness = Box(ReadinessReport(ready: true, checks: ["redis": "ok"]))
    /// Of the pools that it has.
    let cooldowns: ModelCooldowns
    let backend: APIBackend

    final class Box<Value: Sendable>: Sendable {
        private let value: NIOLockedValueBox<Value>
        init(_ value: Value) { self.value = NIOLockedValueBox(value) }
        var current: Value {
            get { value.withLockedValue { $0 } }
            set { value.withLockedValue { $0 = newValue } }
        }
    }

    /// - Parameter poolFallbacks: with who tells of the accounts of pools.
    init(
        fallbacks: [String: String] = [:], poolFallbacks: PoolFallbacks? = nil, pools: [PoolSettings] = [],
        poolTokens: [PoolName: FallbackToken] = [:]
    ) throws {
        cooldowns = ModelCooldowns(time: time)
        fleet = FakeFleet(time: time)
        endpoint = FakeEndpoint(time: time)
        let policies = FakePolicies(
            providers: [try ProviderName("acme")],
            accountFields: [try ProviderName("intranet"): ["username", "password"], try ProviderName("robot"): []])
        let deck = FlightDeck(
            store: fleet, endpoint: endpoint, journal: journal, time: time, hub: ChangeHub(), cache: cache,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let coordinator = RefreshCoordinator(deck: deck, policies: policies, origin: try InstanceID("i1"))
        let tokens = try fallbacks.map { (try AccountID($0.key), FallbackToken(token: Secret($0.value))) }
        let desk = FallbackDesk(
            tokens: Dictionary(uniqueKeysWithValues: tokens), pools: poolFallbacks,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let instance = InstanceInfo(
            id: "i1", host: "h", pid: 7, version: "1.2", startedAt: 1_000_000, seenAt: 2_000_000,
            listen: ["127.0.0.1:8700"], isProactive: true, isLeader: true, refreshes: 3)
        let reader = TokenReader(coordinator: coordinator, policies: policies, fallbacks: desk)
        let poolDesk = PoolDesk(
            settings: pools, pools: HousePools(fleet: fleet), cooldowns: cooldowns, slots: cooldowns, reader: reader,
            keeper: nil, fallbacks: poolTokens, seed: 1,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        poolDesk.subscriptionChanged(isUp: true)
        backend = APIBackend(
            reader: reader, coordinator: coordinator,
            directory: fleet, orphans: fleet, policies: policies, intake: AccountIntake(policies: policies),
            instances: FakeRegistry(all: [instance]), providers: monitor, time: time,
            pools: pools.isEmpty ? nil : poolDesk, readiness: { [readiness] in readiness.current }, version: "1.2",
            metrics: { Array("calls_total 1\n".utf8) })
        cache.subscriptionChanged(isUp: true)
    }

    /// An account whose token lasts `life` from now, of which it has lived nothing yet.
    @discardableResult
    func add(
        _ id: String, generation: Int64 = 17, token: String? = "at-17", life: Duration = .seconds(3600),
        provider: String = "acme", change: (inout AccountSnapshot) -> Void = { _ in }
    ) throws -> AccountSnapshot {
        var snapshot = AccountSnapshot(
            id: try AccountID(id), provider: try ProviderName(provider), name: "Name",
            generation: Generation(generation),
            accessToken: token.map { Secret($0) }, expiresAt: token.map { _ in time.wall() + life },
            obtainedAt: time.wall(), createdAt: time.wall(), updatedAt: time.wall())
        change(&snapshot)
        fleet.add(snapshot)
        return snapshot
    }

    /// Adds the account and makes this instance remember it.
    func addWarm(_ id: String, token: String = "at-17") throws {
        let snapshot = try add(id, token: token)
        cache.rememberCommitted(snapshot, since: cache.editTicket(for: snapshot.id), now: time.monotonic())
    }

    func serve(
        keys: CallerKeys? = nil, gateway: Gateway? = nil, listen: [String] = ["127.0.0.1:0"],
        idleTimeout: Duration = .seconds(60),
        _ body: @escaping @Sendable (Client) async throws -> Void
    ) async throws {
        var backend = backend
        backend.gateway = gateway
        let server = APIServer(
            backend: backend, keys: keys,
            configuration: .init(listen: try listen.map { try ListenAddress($0) }, idleTimeout: idleTimeout),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let group = ServiceGroup(
            services: [server], gracefulShutdownSignals: [],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let bound: [ListenAddress]
            do {
                bound = try await server.boundAddresses()
            } catch {
                // What the group throws says more.
                try await tasks.waitForAll()
                throw error
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body(Client(addresses: bound))) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}

/// The accounts of pools as the fake fleet has them.
private struct HousePools: PoolStore {
    let fleet: FakeFleet

    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        try await fleet.list(after: nil, limit: 1000).accounts.filter { $0.pool == pool }
    }

    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError) {}
}
