/// What an instance knows of a pool's cool-downs: what the store has said, and over it what this instance was told and the
/// store has not confirmed yet. Pure.
///
/// Of two things that the store has said of the same account the one with the higher version counts, in whatever order
/// they come in.
struct CooldownMemory: Sendable {
    /// An order of this instance.
    struct Own: Sendable {
        var id: UInt64
        var order: CooldownOrder
        /// What it makes of what was known.
        var cooldown: Cooldown
        /// The store could not be told: it has to be told later.
        var isUnsent = false
        /// That tells the store.
        var sending: Task<Void, Never>?
    }

    /// What an order makes necessary.
    enum Start: Sendable {
        /// Nothing: it says what is known.
        case known(Cooldown)
        /// Somebody else is telling the store the same.
        case joined(Task<Void, Never>)
        /// To tell the store.
        case begun(Task<Void, Never>)
    }

    /// As picks see them.
    private(set) var all: [CooldownKey: Cooldown] = [:]
    private var said: [CooldownKey: Cooldown] = [:]
    /// Newer than the last reading.
    private var versions: [CooldownKey: Int64] = [:]
    /// Of the last reading.
    private var floor: Int64 = 0
    private var own: [CooldownKey: Own] = [:]
    private var count: UInt64 = 0

    /// Beyond these, what is over is forgotten, and then what ends first.
    static let most = 2 * CooldownLimits.mostWithDimension
    /// No reply is on its way for longer than this, in ms.
    private static let longestWay: Int64 = 120_000

    // MARK: What the store says

    /// All that it holds.
    mutating func replace(_ reading: Versioned<[Cooldown]>, now: WallTime) {
        versions = versions.filter { $0.value > reading.version }
        floor = reading.version
        // What was heard while it was read is newer.
        var next = said.filter { versions[$0.key] != nil }
        for cooldown in reading.value where versions[cooldown.key] == nil { next[cooldown.key] = cooldown }
        said = next
        all = said
        for key in own.keys { merge(key, now) }
    }

    /// - Returns: false where something newer is known.
    @discardableResult
    mutating func apply(_ news: Versioned<CooldownChange>, now: WallTime) -> Bool {
        let key = news.value.key
        guard news.version > max(floor, versions[key] ?? 0) else { return false }
        versions[key] = news.version
        switch news.value {
        case .set(let cooldown): said[key] = cooldown
        case .ended:
            said[key] = nil
            // Somebody has let it go after this instance had tried to tell of it.
            if own[key]?.isUnsent == true { own[key] = nil }
        }
        merge(key, now)
        prune(now)
        return true
    }

    /// The subscription was lost: the store may have gone back meanwhile, and what it says next counts.
    mutating func forgetVersions() {
        versions = [:]
        floor = 0
    }

    // MARK: What this instance is told

    /// Holds here from now on.
    ///
    /// - Parameter send: tells the store of the order with that id.
    mutating func begin(
        _ order: CooldownOrder, now: WallTime, send: (UInt64) -> Task<Void, Never>
    ) -> Start {
        let old = all[order.key]
        let new = order.apply(to: old, now: now)
        if new == old {
            guard let mine = own[order.key] else { return .known(new) }
            // While the store is away there is no use in waiting.
            if mine.isUnsent { return .known(new) }
            if let sending = mine.sending { return .joined(sending) }
        }
        count += 1
        let sending = send(count)
        own[order.key] = Own(id: count, order: order, cooldown: new, sending: sending)
        all[order.key] = new
        return .begun(sending)
    }

    /// The store has taken it.
    mutating func confirmed(_ id: UInt64, _ cooldown: Versioned<Cooldown>, now: WallTime) {
        let key = cooldown.value.key
        if own[key]?.id == id { own[key] = nil }
        if !apply(Versioned(.set(cooldown.value), version: cooldown.version), now: now) { merge(key, now) }
    }

    /// The store could not be told.
    ///
    /// - Returns: whether it is worth another try.
    mutating func failed(_ id: UInt64, _ key: CooldownKey) -> Bool {
        guard own[key]?.id == id else { return false }
        own[key]?.isUnsent = true
        own[key]?.sending = nil
        return true
    }

    /// What the store still has to be told, with the ends that were guessed.
    mutating func unsent(at now: WallTime) -> [(id: UInt64, order: CooldownOrder)] {
        // What is over before the store has heard of it has never been.
        for (key, mine) in own where mine.isUnsent && !mine.cooldown.isRunning(at: now) {
            own[key] = nil
            merge(key, now)
        }
        return own.values.filter(\.isUnsent).sorted { $0.id < $1.id }.map { mine in
            var order = mine.order
            if !mine.cooldown.isTold { order.guess = mine.cooldown.until }
            return (mine.id, order)
        }
    }

    func isWaiting(_ id: UInt64, _ key: CooldownKey) -> Bool { own[key]?.id == id }

    // MARK: Small things

    private mutating func merge(_ key: CooldownKey, _ now: WallTime) {
        guard let mine = own[key], mine.cooldown.isRunning(at: now) else {
            all[key] = said[key]
            return
        }
        guard let base = said[key], base.isRunning(at: now) else {
            all[key] = mine.cooldown
            return
        }
        var order = mine.order
        if !mine.cooldown.isTold { order.guess = mine.cooldown.until }
        all[key] = order.apply(to: base, now: now)
    }

    /// Reports name models and scopes as they like.
    private mutating func prune(_ now: WallTime) {
        if versions.count > Self.most, let newest = versions.values.max() {
            versions = versions.filter { $0.value > newest - Self.longestWay }
        }
        guard said.count > Self.most else { return }
        said = said.filter { $0.value.isRunning(at: now) }
        if said.count > Self.most {
            let kept = said.values.sorted { $0.until > $1.until }.prefix(Self.most * 3 / 4)
            said = Dictionary(kept.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
        }
        all = said
        for key in own.keys { merge(key, now) }
    }
}
