import Logging
import NIOConcurrencyHelpers

/// What this instance remembers of the pools, so that a pick costs no Redis command.
///
/// Like ``TokenCache`` it is trusted only while the subscription to the fleet's changes stands; else it is good for one
/// second. A change of an account makes it read that account again, before the next pick; of many at once, everything. Readers
/// share one read.
final class PoolBoard: Sendable {
    struct State {
        var entries: [PoolName: PoolBoardEntry]
        var epoch: UInt64 = 0
        var isSubscribed = false

        func isTrusted(_ entry: PoolBoardEntry, _ now: MonotonicTime) -> Bool {
            guard let loadedAt = entry.loadedAt else { return false }
            return isSubscribed && entry.epoch == epoch || now - loadedAt <= TokenCache.unsubscribedTrust
        }
    }

    let state: NIOLockedValueBox<State>
    let pools: any PoolStore
    let cooldowns: any CooldownStore
    let accounts: any AccountStore
    let cache: TokenCache
    let time: any TimeSource
    let logger: Logger

    init(
        settings: [PoolSettings], pools: any PoolStore, cooldowns: any CooldownStore, accounts: any AccountStore,
        cache: TokenCache, time: any TimeSource, seed: UInt64, logger: Logger
    ) {
        let entries = settings.map { ($0.name, PoolBoardEntry($0, seed: seed)) }
        state = NIOLockedValueBox(State(entries: Dictionary(entries, uniquingKeysWith: { $1 })))
        self.pools = pools
        self.cooldowns = cooldowns
        self.accounts = accounts
        self.cache = cache
        self.time = time
        self.logger = logger
    }

    // MARK: Hearing

    func subscriptionChanged(isUp: Bool) {
        state.withLockedValue { state in
            state.isSubscribed = isUp
            state.epoch += 1
            guard isUp else { return }
            for pool in state.entries.keys { state.entries[pool]?.view.memory.forgetVersions() }
        }
    }

    /// - Returns: the pools that it may be about.
    @discardableResult
    func accountChanged(_ change: AccountChange) -> [PoolName] {
        state.withLockedValue { state in
            state.entries.keys.filter { state.entries[$0]?.accountChanged(change) == true }
        }
    }

    func cooldownChanged(_ news: Versioned<CooldownChange>, in pool: PoolName) {
        let now = time.wall()
        state.withLockedValue { _ = $0.entries[pool]?.view.memory.apply(news, now: now) }
    }

    // MARK: Picking

    func candidates(_ request: PoolRequest, besides busy: Set<AccountID>, most: Int) -> [AccountSnapshot] {
        let now = time.wall()
        return state.withLockedValue {
            $0.entries[request.pool]?.candidates(request, besides: busy, now: now, most: most) ?? []
        }
    }

    /// What `body` makes of what is known of the pool; nil for an unknown pool.
    func look<Value>(_ pool: PoolName, _ body: (PoolView, WallTime) -> Value) -> Value? {
        let now = time.wall()
        return state.withLockedValue { state in state.entries[pool].map { body($0.view, now) } }
    }

    func change(_ pool: PoolName, _ body: (inout PoolView, WallTime) -> Void) {
        let now = time.wall()
        state.withLockedValue { $0.entries[pool]?.change(body, now) }
    }

    /// See ``PoolView/nudge(besides:_:now:)``.
    func nudge(besides picked: AccountSnapshot, _ request: PoolRequest) -> AccountSnapshot? {
        let now = time.wall()
        return state.withLockedValue { $0.entries[request.pool]?.view.nudge(besides: picked, request, now: now) }
    }

    // MARK: Orders of this instance

    /// Holds here from now on.
    ///
    /// - Parameter send: tells the store of the order with that id.
    func begin(
        _ order: CooldownOrder, send: @escaping @Sendable (UInt64) async -> Void
    ) -> CooldownMemory.Start? {
        let now = time.wall()
        return state.withLockedValue { state in
            // A new task: a caller who leaves must not keep the others from knowing.
            state.entries[order.pool]?.view.memory.begin(order, now: now) { id in Task { await send(id) } }
        }
    }

    func confirmed(_ id: UInt64, _ cooldown: Versioned<Cooldown>, in pool: PoolName) {
        let now = time.wall()
        state.withLockedValue { $0.entries[pool]?.view.memory.confirmed(id, cooldown, now: now) }
    }

    /// - Returns: whether it is worth another try.
    func failed(_ id: UInt64, _ order: CooldownOrder) -> Bool {
        state.withLockedValue { $0.entries[order.pool]?.view.memory.failed(id, order.key) ?? false }
    }

    /// What the store still has to be told.
    func unsent() -> [(id: UInt64, order: CooldownOrder)] {
        let now = time.wall()
        return state.withLockedValue { state in
            var orders: [(id: UInt64, order: CooldownOrder)] = []
            for pool in state.entries.keys.sorted() {
                orders += state.entries[pool]?.view.memory.unsent(at: now) ?? []
            }
            return orders
        }
    }

    /// Whether nobody has let it go since, or ordered something longer.
    func isWaiting(_ id: UInt64, _ order: CooldownOrder) -> Bool {
        state.withLockedValue { $0.entries[order.pool]?.view.memory.isWaiting(id, order.key) ?? false }
    }
}
