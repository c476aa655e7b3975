import Logging
import PerennialTesting
import RefreshCore

/// One instance of a modelled fleet.
struct Instance {
    let coordinator: RefreshCoordinator
    let reader: TokenReader
    let cache: TokenCache
    let hub: ChangeHub
    let journal: ModelJournal
    let statistics: RefreshStatistics
    let limiter: ExchangeLimiter
}

/// Several instances on one modelled store and one modelled provider.
struct Fleet<Time: TimeSource> {
    let time: Time
    let store: ModelStore
    let endpoint: ModelEndpoint
    let policies: ModelPolicies
    let instances: [Instance]
    let log = CapturedLog()

    var one: Instance { instances[0] }

    init(
        _ time: Time, instances count: Int = 1, policies: ModelPolicies = ModelPolicies(.test()),
        lifetime: Duration = .seconds(3600), fallbackReread: Duration = .milliseconds(250),
        patience: Duration = .seconds(75), keepsStored: Bool = false
    ) async throws {
        self.time = time
        self.store = ModelStore(time: time)
        self.endpoint = ModelEndpoint(time: time, lifetime: lifetime)
        self.policies = policies
        var instances: [Instance] = []
        for number in 0..<count {
            let (hub, cache, journal) = (ChangeHub(), TokenCache(), ModelJournal(keepsStored: keepsStored))
            let (statistics, limiter) = (RefreshStatistics(), ExchangeLimiter())
            await store.subscribe(hub: hub, cache: cache)
            let coordinator = RefreshCoordinator(
                deck: FlightDeck(
                    store: store, endpoint: endpoint, journal: journal, time: time, hub: hub, cache: cache,
                    limiter: limiter, statistics: statistics, logger: log.logger),
                policies: policies, origin: try InstanceID("i\(number)"),
                configuration: .init(fallbackReread: fallbackReread, patience: patience),
                generator: SplitMix64(seed: UInt64(number) + 1))
            instances.append(
                Instance(
                    coordinator: coordinator, reader: TokenReader(coordinator: coordinator, policies: policies),
                    cache: cache, hub: hub, journal: journal, statistics: statistics, limiter: limiter))
        }
        self.instances = instances
    }

    /// Adds an account at generation 1 whose access token has `remaining` left (negative: expired; nil: none yet) of
    /// `lifetime`.
    @discardableResult
    func add(
        _ name: String, remaining: Duration? = .seconds(-10), lifetime: Duration = .seconds(3600),
        provider: ProviderName = acme
    ) async throws -> AccountID {
        let id = try AccountID(name)
        let now = time.wall()
        let put = AccountPut(
            id: id, provider: provider, name: nil,
            credentials: Credentials(
                refreshToken: endpoint.issue(id), accessToken: remaining.map { _ in Secret("at-\(name)-0") },
                expiresAt: remaining.map { now + $0 }),
            dueAt: now)
        _ = try await store.put(put)
        if let remaining {
            await store.tamper(id) { $0.obtainedAt = now + remaining - lifetime }
        }
        return id
    }

    func newerThan(_ generation: Int64, _ id: AccountID, on instance: Int = 0) async -> RefreshResult {
        await instances[instance].coordinator.refresh(
            id, provider: acme, demand: .newerThan(Generation(generation))
        ).result
    }
}

extension RefreshResult {
    var failure: RefreshFailure? {
        if case .failed(let failure, _) = self { return failure }
        return nil
    }

    var isRefreshed: Bool {
        if case .refreshed = self { return true }
        return false
    }

    var isNewer: Bool {
        if case .newer = self { return true }
        return false
    }
}
