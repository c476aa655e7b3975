public import Logging
import NIOConcurrencyHelpers

/// Looks after the pools while this instance leads: notes when one is exhausted and when it is not any more, and has
/// accounts acquired.
///
/// A look is taken when an account has changed, when the token of an account that fails runs out, and now and then.
public final class PoolWatch: Sendable {
    private let pools: [PoolSettings]
    private let store: any PoolStore
    private let keeper: AcquisitionKeeper?
    private let time: any TimeSource
    private let wakeup = Wakeup()
    /// Whether a pool has fewer accounts than it should.
    private let isWaiting = NIOLockedValueBox(false)
    private let interval: Duration
    private let logger: Logger

    /// Looks that follow changes are at least this far apart.
    static let pause = Duration.seconds(1)

    /// - Parameter interval: the longest time between two looks.
    public init(
        pools: [PoolSettings], store: any PoolStore, keeper: AcquisitionKeeper?, time: any TimeSource,
        interval: Duration = .seconds(30), logger: Logger
    ) {
        self.pools = pools
        self.store = store
        self.keeper = keeper
        self.time = time
        self.interval = interval
        self.logger = logger
    }

    /// An account has changed. Most refreshes change nothing about a pool, and cause no look unless one is exhausted.
    public func accountChanged(_ outcome: AccountChange.Outcome) {
        if outcome == .refreshed, !isWaiting.withLockedValue({ $0 }) { return }
        wakeup.fire()
    }

    /// Until the task is cancelled, which the end of the reign does.
    public func run() async {
        guard !pools.isEmpty else { return }
        // What this reign has told; the store knows what earlier ones have.
        var told: [PoolName: Bool] = [:]
        var toldEmpty: Set<PoolName> = []
        while !Task.isCancelled {
            var next = time.monotonic() + interval
            var isWaiting = false
            for pool in pools {
                do throws(StoreError) {
                    let (isShort, time) = try await look(at: pool, &told, &toldEmpty)
                    isWaiting = isWaiting || isShort
                    if let time { next = min(next, time) }
                } catch {
                    // An outage is told of elsewhere; what one account does to its pool is not.
                    logger.log(
                        level: [.corrupt, .sealing].contains(error.code) ? .warning : .debug, "pool: not looked at",
                        metadata: ["pool": "\(pool.name)", "reason": "\(error)"])
                }
            }
            self.isWaiting.withLockedValue { $0 = isWaiting }
            try? await time.sleep(until: time.monotonic() + Self.pause)
            await wakeup.wait(until: next, time: time)
        }
    }

    /// - Returns: whether it has too few accounts, and when to look again at the latest.
    private func look(
        at pool: PoolSettings, _ told: inout [PoolName: Bool], _ toldEmpty: inout Set<PoolName>
    ) async throws(StoreError) -> (isShort: Bool, next: MonotonicTime?) {
        await keeper?.storeLeft(pool.name)
        let members = try await store.members(of: pool.name)
        let now = time.wall()
        let count = PoolCount(members, at: now, defaultTier: pool.tiers.first)
        let isExhausted = count.totalAvailable == 0
        // One that never had an account has not been used up.
        if count.members > 0, told[pool.name] != isExhausted {
            try await store.note(
                pool.name, isExhausted: isExhausted, count: count, next: members.nextAvailable(after: now))
            told[pool.name] = isExhausted
        }
        var next = members.nextChange(after: now).map { time.monotonic() + ($0 - now) }
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
                    wakeup.fire()
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
    init(_ members: [AccountSnapshot], at now: WallTime, defaultTier: TierName?) {
        self.init(members: members.count)
        for member in members where member.isAvailable(at: now) {
            guard let tier = member.tier ?? defaultTier else { continue }
            available[tier, default: 0] += 1
        }
    }
}

extension [AccountSnapshot] {
    /// When the token of one that cannot be refreshed runs out.
    func nextChange(after now: WallTime) -> WallTime? {
        compactMap { account in
            guard account.isAvailable(at: now), account.status != .active else { return nil }
            return account.expiresAt
        }.min()
    }

    /// When the first of them is tried again.
    func nextAvailable(after now: WallTime) -> WallTime? {
        compactMap { account in
            guard account.enabled, account.status != .reauthRequired, let next = account.nextAttemptAt, next > now
            else {
                return nil
            }
            return next
        }.min()
    }
}
