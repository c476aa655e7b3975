import NIOConcurrencyHelpers
import RefreshCore

/// The cool-downs of pools and the calls that use their accounts, in memory: what the scripts of the store do.
public final class ModelCooldowns: CooldownStore, SlotStore {
    private struct State {
        var cooldowns: [PoolName: [CooldownKey: Cooldown]] = [:]
        /// Of the last change of each pool.
        var versions: [PoolName: Int64] = [:]
        var slots: [PoolName: [AccountID: [AttemptID: WallTime]]] = [:]
        var listeners: [@Sendable (PoolName, Versioned<CooldownChange>) -> Void] = []
        var faults: [ModelFault] = []
        var way: (@Sendable () async -> Void)?
        var isDown = false
        var isPublishing = true
        var commands = 0
    }

    private let state = NIOLockedValueBox(State())
    private let time: any TimeSource

    public init(time: any TimeSource) {
        self.time = time
    }

    public func setDown(_ isDown: Bool) { state.withLockedValue { $0.isDown = isDown } }
    /// While not publishing, changes happen and nobody is told.
    public func setPublishing(_ isPublishing: Bool) { state.withLockedValue { $0.isPublishing = isPublishing } }
    /// The next calls fail in these ways, one each.
    public func fail(_ faults: ModelFault...) { state.withLockedValue { $0.faults += faults } }
    /// The way of every reply from now on, after what it tells of has happened and been announced; nil for none.
    public func setWay(_ way: (@Sendable () async -> Void)?) { state.withLockedValue { $0.way = way } }
    public func subscribe(_ listener: @escaping @Sendable (PoolName, Versioned<CooldownChange>) -> Void) {
        state.withLockedValue { $0.listeners.append(listener) }
    }

    /// How often it was asked anything.
    public var commands: Int { state.withLockedValue { $0.commands } }
    /// What is stored, without asking for it.
    public func current(of pool: PoolName) -> [Cooldown] {
        state.withLockedValue { Array($0.cooldowns[pool, default: [:]].values) }
    }
    /// The calls that use the account now.
    public func inUse(_ account: AccountID, of pool: PoolName) -> Int {
        let now = time.wall()
        return state.withLockedValue { $0.slots[pool]?[account]?.values.count { $0 > now } ?? 0 }
    }

    private func perform<Value: Sendable>(
        of pool: PoolName, _ body: @Sendable (inout State, WallTime) -> (value: Value, changes: [CooldownChange])
    ) async throws(StoreError) -> Versioned<Value> {
        // A connection sends nothing for a task that was cancelled.
        if Task.isCancelled { throw StoreError(.cancelled, "the task was cancelled") }
        let now = time.wall()
        typealias Listener = @Sendable (PoolName, Versioned<CooldownChange>) -> Void
        typealias Done = (
            value: Versioned<Value>, changes: [CooldownChange], listeners: [Listener],
            way: (@Sendable () async -> Void)?
        )
        let done: Result<(Done, ModelFault?), StoreError> = state.withLockedValue { state in
            state.commands += 1
            if state.isDown { return .failure(StoreError(.unavailable, "the modelled store is away")) }
            let fault = state.faults.isEmpty ? nil : state.faults.removeFirst()
            if let fault, fault != .replyLost { return .failure(fault.error) }
            let (value, changes) = body(&state, now)
            let last = state.versions[pool] ?? 0
            if !changes.isEmpty { state.versions[pool] = max(last + 1, now.milliseconds) }
            let version = state.versions[pool] ?? 0
            return .success(
                (
                    (Versioned(value, version: version), changes, state.isPublishing ? state.listeners : [], state.way),
                    fault
                )
            )
        }
        let (result, fault) = try done.get()
        for change in result.changes {
            for listener in result.listeners { listener(pool, Versioned(change, version: result.value.version)) }
        }
        if let fault { throw fault.error }
        await result.way?()
        return result.value
    }

    public func cooldowns(of pool: PoolName) async throws(StoreError) -> Versioned<[Cooldown]> {
        try await perform(of: pool) { state, _ in (Array(state.cooldowns[pool, default: [:]].values), []) }
    }

    public func cool(_ order: CooldownOrder) async throws(StoreError) -> Versioned<Cooldown> {
        try await perform(of: order.pool) { state, now in
            let old = state.cooldowns[order.pool]?[order.key]
            let new = order.apply(to: old, now: now)
            state.cooldowns[order.pool, default: [:]][order.key] = new
            if old == nil, order.key.dimension != nil { Self.prune(&state.cooldowns[order.pool, default: [:]], order) }
            return (new, new == old ? [] : [.set(new)])
        }
    }

    /// Beyond so many, those go that would be forgotten first.
    private static func prune(_ cooldowns: inout [CooldownKey: Cooldown], _ order: CooldownOrder) {
        guard cooldowns.count > CooldownLimits.mostWithDimension else { return }
        let first = cooldowns.values.sorted { $0.until < $1.until }.prefix(10)
        for cooldown in first where cooldown.key != order.key { cooldowns[cooldown.key] = nil }
    }

    public func probe(
        _ key: CooldownKey, of pool: PoolName, attempt: AttemptID
    ) async throws(StoreError) -> Versioned<Cooldown>? {
        let granted = try await perform(of: pool) { state, now -> (Cooldown?, [CooldownChange]) in
            guard var cooldown = state.cooldowns[pool]?[key], cooldown.allowsProbe(at: now) else { return (nil, []) }
            cooldown.probe = attempt
            state.cooldowns[pool]?[key] = cooldown
            return (cooldown, [.set(cooldown)])
        }
        return granted.value.map { Versioned($0, version: granted.version) }
    }

    public func worked(
        _ keys: [CooldownKey], of pool: PoolName, attempt: AttemptID?
    ) async throws(StoreError) -> Versioned<[CooldownKey]> {
        try await perform(of: pool) { state, now in
            var (gone, changes): ([CooldownKey], [CooldownChange]) = ([], [])
            for key in keys {
                if let cooldown = state.cooldowns[pool]?[key] {
                    if cooldown.isRunning(at: now), attempt == nil || cooldown.probe != attempt { continue }
                    state.cooldowns[pool]?[key] = nil
                    changes.append(.ended(key))
                }
                gone.append(key)
            }
            return (gone, changes)
        }
    }

    public func release(_ keys: [CooldownKey], of pool: PoolName) async throws(StoreError) -> Versioned<[CooldownKey]> {
        try await perform(of: pool) { state, _ in
            let there = keys.filter { state.cooldowns[pool]?.removeValue(forKey: $0) != nil }
            return (there, there.map { .ended($0) })
        }
    }

    public func take(
        _ attempt: AttemptID, of accounts: [AccountID], in pool: PoolName, most: Int, ttl: Duration
    ) async throws(StoreError) -> AccountID? {
        try await perform(of: pool) { state, now -> (AccountID?, [CooldownChange]) in
            for account in accounts {
                var taken = (state.slots[pool]?[account] ?? [:]).filter { $0.value > now }
                // No call counts for longer: one that lies further ahead was written before the clock was set back.
                if taken.count >= most { taken = taken.filter { $0.value <= now + .seconds(86_405) } }
                state.slots[pool, default: [:]][account] = taken
                if taken.count < most {
                    state.slots[pool]?[account]?[attempt] = now + ttl
                    return (account, [])
                }
            }
            return (nil, [])
        }.value
    }

    public func renew(
        _ attempt: AttemptID, of account: AccountID, in pool: PoolName, ttl: Duration
    ) async throws(StoreError) -> Bool {
        try await perform(of: pool) { state, now -> (Bool, [CooldownChange]) in
            guard state.slots[pool]?[account]?[attempt] != nil else { return (false, []) }
            state.slots[pool]?[account]?[attempt] = now + ttl
            return (true, [])
        }.value
    }

    public func free(_ attempt: AttemptID, of account: AccountID, in pool: PoolName) async throws(StoreError) {
        _ = try await perform(of: pool) { state, _ -> (Bool, [CooldownChange]) in
            state.slots[pool]?[account]?[attempt] = nil
            return (true, [])
        }
    }
}
