import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore

/// The accounts of pools as a modelled store has them.
final class ModelPools: PoolStore {
    private let store: ModelStore
    private let count = NIOLockedValueBox(0)
    private let failures = NIOLockedValueBox(0)

    init(_ store: ModelStore) { self.store = store }

    /// How often a whole pool was read.
    var reads: Int { count.withLockedValue { $0 } }

    /// The next reads of a whole pool fail.
    func fail(_ count: Int) { failures.withLockedValue { $0 = count } }

    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        count.withLockedValue { $0 += 1 }
        let fails = failures.withLockedValue { failures in
            defer { failures = max(0, failures - 1) }
            return failures > 0
        }
        if fails { throw StoreError(.unavailable, "the modelled store is away") }
        return try await store.list(after: nil, limit: 10_000).accounts.filter { $0.pool == pool }
    }

    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError) {}
}

/// Instances that hand out the accounts of one pool, on a modelled store and provider.
struct PoolSite {
    let fleet: Fleet<ManualTimeSource>
    let pools: ModelPools
    let cooldowns: ModelCooldowns
    let permits = FakeAcquisitionStore()
    let acquirer: FakeAcquirer
    let desks: [PoolDesk]

    var desk: PoolDesk { desks[0] }
    var time: ManualTimeSource { fleet.time }

    /// - Parameter acquires: what its chain brings; nil for a pool without one.
    init(
        instances: Int = 1, strategy: PoolStrategy = .fillFirst, acquires: [Result<String, AcquisitionFailure>]? = nil,
        fallback: FallbackToken? = nil, policies: ModelPolicies = ModelPolicies(.test()),
        _ change: (inout PoolSettings) -> Void = { _ in }
    ) async throws {
        let fleet = try await Fleet(ManualTimeSource(), instances: instances, policies: policies)
        let cooldowns = ModelCooldowns(time: fleet.time)
        let pools = ModelPools(fleet.store)
        var settings = PoolSettings(name: warp)
        settings.strategy = strategy
        if acquires != nil {
            settings.acquisition = AcquisitionLimits(
                tier: PoolFixture.tier("anonymous"), longestRun: .seconds(40))
        }
        change(&settings)
        let acquired = try (acquires ?? []).map { result -> Result<AcquiredAccount, AcquisitionFailure> in
            switch result {
            case .success(let name):
                let id = try accountID(name)
                return .success(
                    AcquiredAccount(
                        id: id, provider: acme, name: nil, credential: .refreshToken(fleet.endpoint.issue(id))))
            case .failure(let failure): return .failure(failure)
            }
        }
        let acquirer = FakeAcquirer(acquired)
        var desks: [PoolDesk] = []
        for (number, instance) in fleet.instances.enumerated() {
            let keeper =
                acquires == nil
                ? nil
                : AcquisitionKeeper(
                    store: permits, acquirer: acquirer, vault: FakeVault(), directory: fleet.store,
                    intake: AccountIntake(policies: fleet.policies), time: fleet.time, logger: fleet.log.logger)
            let desk = PoolDesk(
                settings: [settings], pools: pools, cooldowns: cooldowns, slots: cooldowns, reader: instance.reader,
                keeper: keeper, fallbacks: fallback.map { [warp: $0] } ?? [:], seed: UInt64(number),
                logger: fleet.log.logger)
            await fleet.store.subscribe(hub: instance.hub, cache: instance.cache) { desk.accountChanged($0) }
            cooldowns.subscribe { pool, change in desk.cooldownChanged(change, in: pool) }
            desk.subscriptionChanged(isUp: true)
            desks.append(desk)
        }
        self.fleet = fleet
        self.pools = pools
        self.cooldowns = cooldowns
        self.acquirer = acquirer
        self.desks = desks
    }

    @discardableResult
    func add(_ name: String, tier: String? = nil, remaining: Duration? = .seconds(3000)) async throws -> AccountID {
        let id = try await fleet.add(name, remaining: remaining)
        _ = try await fleet.store.edit(
            id,
            AccountEdit(
                traits: TraitChanges(pool: .set(warp), tier: tier.map { .set(PoolFixture.tier($0)) } ?? .keep)))
        return id
    }

    func edit(_ name: String, _ edit: AccountEdit) async throws {
        _ = try await fleet.store.edit(try accountID(name), edit)
    }

    /// The account that is picked.
    func pick(
        on instance: Int = 0, excluding: [String] = [], dimension: String? = nil
    ) async throws -> PoolPick {
        let token = try await desks[instance].pick(
            PoolRequest(
                pool: warp, excluded: Set(try excluding.map { try accountID($0) }), dimension: dimension))
        guard let pick = token.pick else { throw NeverHappened(description: "a fallback was served") }
        return pick
    }

    func name(on instance: Int = 0, excluding: [String] = [], dimension: String? = nil) async throws -> String {
        try await pick(on: instance, excluding: excluding, dimension: dimension).account.rawValue
    }

    /// The failure of a pick.
    func failure(on instance: Int = 0) async -> PoolFailure? {
        do throws(PoolFailure) {
            _ = try await desks[instance].pick(PoolRequest(pool: warp))
            return nil
        } catch {
            return error
        }
    }

    func report(
        _ outcome: PoolReport.Outcome, _ pick: PoolPick, on instance: Int = 0, until: WallTime? = nil,
        dimension: String? = nil
    ) async throws {
        try await desks[instance].report(
            PoolReport(
                pool: warp, account: pick.account, generation: pick.generation, outcome: outcome, until: until,
                dimension: dimension, cause: "HTTP 429", lease: pick.lease))
    }
}
