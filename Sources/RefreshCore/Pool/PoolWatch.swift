public import Logging
import NIOConcurrencyHelpers

/// Looks after the pools while this instance leads: notes when one is exhausted and when it is not any more, and has
/// accounts acquired.
///
/// A look at a pool is taken when one of its accounts has changed or begins or ceases to cool down, when the token of an account
/// that fails runs out, and now and then.
public final class PoolWatch: Sendable {
    private let pools: [PoolSettings]
    private let store: any PoolStore
    private let cooldowns: any CooldownStore
    private let keeper: AcquisitionKeeper?
    private let time: any TimeSource
    private let wakeup = Wakeup()
    private let interval: Duration
    private let pause: Duration
    private let logger: Logger

    private struct State {
        /// The accounts that were in a pool when it was looked at.
        var members: [PoolName: Set<AccountID>] = [:]
        /// Pools with fewer accounts than they should have.
        var short: Set<PoolName> = []
        /// Pools that something has changed about.
        var changed: Set<PoolName> = []
    }

    private let state = NIOLockedValueBox(State())

    /// - Parameters:
    ///   - interval: the longest time between two looks.
    ///   - pause: looks that follow changes are at least this far apart.
    public init(
        pools: [PoolSettings], store: any PoolStore, cooldowns: any CooldownStore, keeper: AcquisitionKeeper?,
        time: any TimeSource, interval: Duration = .seconds(30), pause: Duration = .seconds(1), logger: Logger
    ) {
        self.pools = pools
        self.store = store
        self.cooldowns = cooldowns
        self.keeper = keeper
        self.time = time
        self.interval = interval
        self.pause = pause
        self.logger = logger
    }

    /// An account has changed. Most refreshes change nothing about a pool, and cause no look unless it is exhausted; and what
    /// is in no pool changes nothing about any, unless it comes.
    public func accountChanged(_ change: AccountChange) {
        let isConcerned = state.withLockedValue { state in
            let concerned = pools.map(\.name).filter { pool in
                let isMember = state.members[pool]?.contains(change.account) ?? true
                switch change.outcome {
                case .refreshed: return isMember && state.short.contains(pool)
                case .failed, .refused, .removed: return isMember
                case .added, .edited: return true
                }
            }
            state.changed.formUnion(concerned)
            return !concerned.isEmpty
        }
        if isConcerned { wakeup.fire() }
    }

    /// An account cools down, or does not any more. For one model or scope it says nothing about the others.
    public func cooldownChanged(_ key: CooldownKey, in pool: PoolName) {
        guard key.dimension == nil, pools.contains(where: { $0.name == pool }) else { return }
        changed(pool)
    }

    private func changed(_ pool: PoolName) {
        state.withLockedValue { _ = $0.changed.insert(pool) }
        wakeup.fire()
    }

    /// Until the task is cancelled, which the end of the reign does.
    public func run() async {
        guard !pools.isEmpty else { return }
        // What this reign has told; the store knows what earlier ones have.
        var told: [PoolName: Bool] = [:]
        var toldEmpty: Set<PoolName> = []
        var due: [PoolName: MonotonicTime] = [:]
        while !Task.isCancelled {
            let changed = state.withLockedValue { state in
                defer { state.changed = [] }
                return state.changed
            }
            for pool in pools {
                let now = time.monotonic()
                if let next = due[pool.name], now < next, !changed.contains(pool.name) { continue }
                due[pool.name] = now + interval
                do throws(StoreError) {
                    let (isShort, next) = try await look(at: pool, &told, &toldEmpty)
                    state.withLockedValue { state in
                        if isShort { state.short.insert(pool.name) } else { state.short.remove(pool.name) }
                    }
                    if let next { due[pool.name] = min(now + interval, next) }
                } catch {
                    due[pool.name] = now + min(interval, .seconds(30))
                    // An outage is told of elsewhere; what one account does to its pool is not.
                    logger.log(
                        level: error.isOfOneRecord ? .warning : .debug, "pool: not looked at",
                        metadata: ["pool": "\(pool.name)", "reason": "\(error)"])
                }
            }
            try? await time.sleep(until: time.monotonic() + pause)
            await wakeup.wait(until: due.values.min() ?? time.monotonic() + interval, time: time)
        }
    }

    /// - Returns: whether it has too few accounts, and when to look again at the latest.
    private func look(
        at pool: PoolSettings, _ told: inout [PoolName: Bool], _ toldEmpty: inout Set<PoolName>
    ) async throws(StoreError) -> (isShort: Bool, next: MonotonicTime?) {
        await keeper?.storeLeft(pool.name)
        let members = try await store.members(of: pool.name)
        let added = Dictionary(members.map { ($0.id, $0.createdAt) }, uniquingKeysWith: { $1 })
        state.withLockedValue { $0.members[pool.name] = Set(added.keys) }
        // Of those for one model or scope the account is good for the others.
        let cooling = try await cooldowns.cooldowns(of: pool.name).value.filter { cooldown in
            cooldown.key.dimension == nil
                && added[cooldown.key.account].map { !cooldown.isOfAnother(since: $0) } ?? false
        }
        let now = time.wall()
        let ends = Dictionary(
            cooling.filter { $0.isRunning(at: now) }.map { ($0.key.account, $0.until) },
            uniquingKeysWith: { max($0, $1) })
        let count = PoolCount(members, at: now, cooling: ends, defaultTier: pool.tiers.first)
        let isExhausted = count.totalAvailable == 0
        // One that never had an account has not been used up.
        if count.members > 0, told[pool.name] != isExhausted {
            try await store.note(
                pool.name, isExhausted: isExhausted, count: count,
                next: members.nextAvailable(after: now, cooling: ends))
            told[pool.name] = isExhausted
        }
        var next = members.nextChange(after: now, cooling: ends).map { time.monotonic() + ($0 - now) }
        if count.members == 0, pool.acquisition == nil, toldEmpty.insert(pool.name).inserted {
            logger.warning(
                """
                pool: it has no account, and no chain that acquires one: run perennial accounts add with --pool \
                \(pool.name), or give it acquisition
                """, metadata: ["pool": "\(pool.name)"])
        }
        if let keeper, let limits = pool.acquisition, count.totalAvailable < limits.minAvailable,
            !keeper.isRunning(pool.name)
        {
            switch try await keeper.begin(for: pool.name, limits: limits) {
            // Does not hold up the other pools, nor the end of the reign.
            case .begun(let run):
                Task {
                    _ = await run.value
                    changed(pool.name)
                }
            case .failed: break
            case .waiting(.underWay(let until)), .waiting(.usedUp(let until)), .waiting(.notBefore(let until, _)):
                let due = time.monotonic() + max(until - now, .zero)
                next = min(next ?? due, due)
            case .waiting(.granted): break
            }
        }
        return (count.totalAvailable < max(1, pool.acquisition?.minAvailable ?? 1), next)
    }
}

extension PoolCount {
    /// - Parameter cooling: accounts that cannot be picked, with the end of that.
    init(_ members: [AccountSnapshot], at now: WallTime, cooling: [AccountID: WallTime], defaultTier: TierName?) {
        self.init(members: members.count)
        for member in members where member.isAvailable(at: now) && cooling[member.id] == nil {
            guard let tier = member.tier ?? defaultTier else { continue }
            available[tier, default: 0] += 1
        }
    }
}

extension [AccountSnapshot] {
    /// When the token of one that cannot be refreshed runs out, or a cool-down ends.
    func nextChange(after now: WallTime, cooling: [AccountID: WallTime]) -> WallTime? {
        compactMap { account in
            if let end = cooling[account.id] { return end }
            guard account.isAvailable(at: now), account.status != .active else { return nil }
            return account.expiresAt
        }.min()
    }

    /// When the first of them is tried again, or has cooled down.
    func nextAvailable(after now: WallTime, cooling: [AccountID: WallTime]) -> WallTime? {
        compactMap { account in
            guard account.enabled, account.status != .reauthRequired else { return nil }
            // Only one that can give a token then.
            let next = account.isAvailable(at: now) ? nil : account.nextAttemptAt
            return [next, cooling[account.id]].compactMap { $0 }.max().flatMap { $0 > now ? $0 : nil }
        }.min()
    }
}
