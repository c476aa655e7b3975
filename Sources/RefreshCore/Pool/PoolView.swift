/// What an instance knows of a pool, and what it makes of that: who can be picked, and why the others cannot. Pure.
struct PoolView: Sendable {
    let settings: PoolSettings
    private(set) var members: [AccountID: PoolEntry] = [:]
    var memory = CooldownMemory()
    var cooldowns: [CooldownKey: Cooldown] { memory.all }
    /// The accounts in the order of their ids, by tier: those of the configuration in its order, then any other one.
    private(set) var tiers: [(name: TierName, accounts: [PoolEntry])] = []
    private var rests: [AccountID: Rest] = [:]
    /// Accounts that had all the calls they may have: not asked for again before that time.
    private var full: [AccountID: WallTime] = [:]
    /// Accounts whose early try is taken: the same.
    private var tried: [AccountID: WallTime] = [:]
    /// Accounts whose refresh was begun behind a caller's back, not to be begun again before that time.
    private var nudged: [AccountID: WallTime] = [:]
    /// Generations whose token was refused: not handed out again.
    private(set) var refused: [AccountID: Generation] = [:]

    /// The longest time for which a token that could not be had is not asked for again.
    static let longestRest = Duration.seconds(30)
    /// For so long the answer that an account has all its calls is taken for granted.
    static let fullTime = Duration.seconds(1)
    /// Between two refreshes that picks begin of an account whose token has run out while others have one.
    static let nudgeTime = Duration.seconds(5)

    private struct Rest {
        var until: WallTime
        /// It is the account that has no token, not its provider that has a pause.
        var isOwn: Bool
    }

    init(settings: PoolSettings) {
        self.settings = settings
    }

    // MARK: What is known

    mutating func replace(_ accounts: [AccountSnapshot], _ cooldowns: Versioned<[Cooldown]>, now: WallTime) {
        members = Dictionary(accounts.map { ($0.id, PoolEntry($0)) }, uniquingKeysWith: { $1 })
        memory.replace(cooldowns, now: now)
        rests = rests.filter { members[$0.key] != nil }
        full = full.filter { members[$0.key] != nil }
        tried = tried.filter { members[$0.key] != nil }
        nudged = nudged.filter { members[$0.key] != nil }
        refused = refused.filter { entry in members[entry.key].map { $0.account.generation <= entry.value } ?? false }
        arrange()
    }

    /// - Parameter snapshot: nil for one that is gone; one of another pool counts as such.
    mutating func replace(_ account: AccountID, with snapshot: AccountSnapshot?) {
        let snapshot = snapshot?.pool == settings.name ? snapshot : nil
        let old = members[account]
        let new = snapshot.map { PoolEntry($0) }
        members[account] = new
        rests[account] = nil
        if let snapshot, let generation = refused[account], snapshot.generation > generation { refused[account] = nil }
        if let old, let new, old.account.tier == new.account.tier { exchange(new) } else { arrange() }
    }

    /// An account of it was refreshed: all that a pick has to know of that.
    mutating func refreshed(_ account: AccountID, _ generation: Generation) {
        guard var member = members[account]?.account, generation >= member.generation else { return }
        member.generation = generation
        member.status = .active
        (member.failures, member.nextAttemptAt) = (0, nil)
        let entry = PoolEntry(member, isRead: false)
        members[account] = entry
        exchange(entry)
        rests[account] = nil
        if let old = refused[account], generation > old { refused[account] = nil }
    }

    /// What reading a token of it has brought to light.
    mutating func learn(_ snapshot: AccountSnapshot) {
        guard let member = members[snapshot.id] else { return }
        let known = member.account.generation
        guard snapshot.generation > known || snapshot.generation == known && !member.isRead else { return }
        replace(snapshot.id, with: snapshot)
    }

    /// Its token could not be had.
    ///
    /// - Parameter isOwn: false where that is no fault of the account: it does not count as spent.
    mutating func rest(_ account: AccountID, until: WallTime?, now: WallTime, isOwn: Bool = true) {
        guard members[account] != nil else { return }
        let until = min(max(until ?? now + .seconds(5), now + .seconds(1)), now + Self.longestRest)
        rests[account] = Rest(until: until, isOwn: isOwn)
    }

    /// A token of it was refused. One of a generation that it has never had says nothing about later ones.
    mutating func refuse(_ account: AccountID, _ generation: Generation) {
        guard let member = members[account], member.account.generation <= generation else { return }
        refused[account] = max(refused[account] ?? member.account.generation, member.account.generation)
    }

    /// The token was not refused because of its age: it is handed out again.
    mutating func trust(_ account: AccountID, _ generation: Generation) {
        if let last = refused[account], last <= generation { refused[account] = nil }
    }

    /// It has all the calls it may have.
    mutating func noteFull(_ accounts: [AccountID], now: WallTime) {
        for account in accounts { full[account] = now + Self.fullTime }
    }

    /// Another instance tries it before its time.
    mutating func noteTried(_ account: AccountID, now: WallTime) { tried[account] = now + Self.fullTime }

    /// A call of it is over.
    mutating func noteFree(_ account: AccountID) { full[account] = nil }

    func isFull(_ account: AccountID, now: WallTime) -> Bool {
        isAhead(full[account], now)
    }

    /// A clock that was set back keeps nobody out.
    private func isAhead(_ time: WallTime?, _ now: WallTime) -> Bool {
        time.map { now < $0 && $0 <= now + Self.fullTime } ?? false
    }

    /// Whether an account that the request could be given has all its calls.
    func hasFull(_ request: PoolRequest, now: WallTime) -> Bool {
        full.keys.contains { account in
            guard isFull(account, now: now), !request.excluded.contains(account), let entry = members[account] else {
                return false
            }
            return standing(of: entry.account, dimension: request.dimension, now: now) == .available
        }
    }

    /// An account of the tier whose token has run out and is to be refreshed behind the caller's back, who gets another one.
    mutating func nudge(besides picked: AccountSnapshot, _ request: PoolRequest, now: WallTime) -> AccountSnapshot? {
        guard picked.isValid(at: now), let tier = tiers.first(where: { $0.name == tier(of: picked) }) else {
            return nil
        }
        for entry in tier.accounts where entry.account.status == .active && !entry.isValid(at: now) {
            guard !request.excluded.contains(entry.id),
                standing(of: entry.account, dimension: request.dimension, now: now) == .available
            else { continue }
            if let until = nudged[entry.id], now < until, until <= now + Self.nudgeTime { continue }
            nudged[entry.id] = now + Self.nudgeTime
            return entry.account
        }
        return nil
    }

    private mutating func arrange() {
        var byTier: [TierName: [PoolEntry]] = [:]
        for member in members.values { byTier[tier(of: member.account), default: []].append(member) }
        let others = byTier.keys.filter { !settings.tiers.contains($0) }.sorted()
        tiers = (settings.tiers + others).compactMap { name in byTier[name].map { (name, $0.sorted { $0.id < $1.id }) }
        }
    }

    /// What is known of an account has changed, and its place has not.
    private mutating func exchange(_ entry: PoolEntry) {
        let name = tier(of: entry.account)
        guard let tier = tiers.firstIndex(where: { $0.name == name }),
            let index = tiers[tier].accounts.firstIndex(where: { $0.id == entry.id })
        else { return }
        tiers[tier].accounts[index] = entry
    }

    func tier(of account: AccountSnapshot) -> TierName { account.tier ?? settings.tiers[0] }

    // MARK: Who can be picked

    func standing(of account: AccountSnapshot, dimension: String?, now: WallTime) -> PoolStanding {
        guard account.enabled else { return .disabled }
        guard account.status != .reauthRequired else { return .reauthRequired }
        if !memory.all.isEmpty {
            let all = running(CooldownKey(account: account.id), of: account, now)
            let one = dimension.flatMap { running(CooldownKey(account: account.id, dimension: $0), of: account, now) }
            // The one that ends last.
            if let cooldown = [all, one].compactMap({ $0 }).max(by: { $0.until < $1.until }) {
                return .cooling(cooldown)
            }
        }
        if let until = rests[account.id]?.until, until > now, until <= now + Self.longestRest {
            return .resting(until: until)
        }
        let isRefused = refused[account.id].map { account.generation <= $0 } ?? false
        if isRefused || !account.isValid(at: now), let next = account.nextAttemptAt, next > now {
            return .resting(until: next)
        }
        return .available
    }

    private func running(_ key: CooldownKey, of account: AccountSnapshot, _ now: WallTime) -> Cooldown? {
        guard let cooldown = memory.all[key], cooldown.isRunning(at: now),
            !cooldown.isOfAnother(since: account.createdAt)
        else { return nil }
        return cooldown
    }

    /// Those that can be picked, by tier and turn, at most `most`; the first of them has had its turn then.
    ///
    /// In a tier those with a valid token come first, so that nobody waits for a refresh who need not; only a session stays
    /// with its account. Accounts whose last refresh has failed, and which have no valid token, come after all others.
    func candidates(
        _ request: PoolRequest, besides busy: Set<AccountID>, turns: inout PoolTurns, now: WallTime, most: Int
    ) -> [AccountSnapshot] {
        func isOpen(_ entry: PoolEntry) -> Bool {
            if !request.excluded.isEmpty, request.excluded.contains(entry.id) { return false }
            if !busy.isEmpty, busy.contains(entry.id) { return false }
            if !full.isEmpty, isFull(entry.id, now: now) { return false }
            return standing(of: entry.account, dimension: request.dimension, now: now) == .available
        }
        if let preferred = request.preferred.flatMap({ members[$0] }), isOpen(preferred) { return [preferred.account] }
        var found: [PoolEntry] = []
        var weak: [(tier: TierName, accounts: [PoolEntry])] = []
        func add(_ accounts: [PoolEntry], _ tier: TierName) {
            let ordered = turns.order(accounts, tier: tier, session: request.session, most: most - found.count)
            if found.isEmpty, let first = ordered.first { turns.take(first.id, of: accounts, tier: tier) }
            found += ordered
        }
        for tier in tiers where found.count < most {
            var (valid, lapsed, failing): ([PoolEntry], [PoolEntry], [PoolEntry]) = ([], [], [])
            for entry in tier.accounts where isOpen(entry) {
                if entry.isValid(at: now) {
                    valid.append(entry)
                } else if entry.account.isAvailable(at: now) {
                    lapsed.append(entry)
                } else {
                    failing.append(entry)
                }
            }
            if !lapsed.isEmpty, settings.strategy == .sticky, request.session != nil {
                valid = tier.accounts.filter { entry in (valid + lapsed).contains { $0 === entry } }
                lapsed = []
            }
            if !valid.isEmpty { add(valid, tier.name) }
            if !lapsed.isEmpty, found.count < most { add(lapsed, tier.name) }
            if !failing.isEmpty { weak.append((tier.name, failing)) }
        }
        for tier in weak where found.count < most { add(tier.accounts, tier.tier) }
        return found.map(\.account)
    }

    /// A cool-down whose account may be tried before its end: the one that ends first.
    func probeCandidate(_ request: PoolRequest, besides busy: Set<AccountID>, now: WallTime) -> Cooldown? {
        members.values.compactMap { entry -> Cooldown? in
            let account = entry.account
            guard !request.excluded.contains(account.id), !busy.contains(account.id), !isFull(account.id, now: now),
                !isAhead(tried[account.id], now),
                case .cooling(let cooldown) = standing(of: account, dimension: request.dimension, now: now),
                cooldown.allowsProbe(at: now)
            else { return nil }
            // Where two run, the other one is in the way.
            let others = [CooldownKey(account: account.id, dimension: request.dimension), .init(account: account.id)]
            return others.contains { $0 != cooldown.key && running($0, of: account, now) != nil } ? nil : cooldown
        }.min { ($0.until, $0.key) < ($1.until, $1.key) }
    }

    /// Whether an account of it could be picked, whatever a request excludes.
    func hasAvailable(dimension: String?, now: WallTime) -> Bool {
        members.values.contains { standing(of: $0.account, dimension: dimension, now: now) == .available }
    }

    /// Whether it has none left, whatever a request excludes: what is the matter is with the accounts themselves, not with the
    /// way to their provider.
    func isSpent(dimension: String?, now: WallTime) -> Bool {
        members.values.allSatisfy { entry in
            switch standing(of: entry.account, dimension: dimension, now: now) {
            case .available: false
            // Where it is known only that it waits, it is its own fault unless its provider had asked for that.
            case .resting:
                rests[entry.id].map { $0.isOwn || $0.until <= now }
                    ?? ![.throttled, .misconfigured].contains(entry.account.lastFault?.kind)
            case .cooling, .disabled, .reauthRequired: true
            }
        }
    }

    /// What a success of the account for the dimension may clear.
    func clearable(_ account: AccountID, dimension: String?, probe: AttemptID?, now: WallTime) -> [CooldownKey] {
        guard !memory.all.isEmpty else { return [] }
        let keys = [CooldownKey(account: account)] + (dimension.map { [.init(account: account, dimension: $0)] } ?? [])
        return keys.filter { key in
            guard let cooldown = cooldowns[key] else { return false }
            return !cooldown.isRunning(at: now) || (probe != nil && cooldown.probe == probe)
        }
    }

    // MARK: For people

    func status(now: WallTime, hasFallback: Bool) -> PoolStatus {
        PoolStatus(
            settings: settings,
            members: tiers.flatMap { tier in
                tier.accounts.map(\.account).map {
                    PoolMember(account: $0, tier: tier.name, standing: standing(of: $0, dimension: nil, now: now))
                }
            },
            cooldowns: cooldowns.values.filter { cooldown in
                members[cooldown.key.account].map { !cooldown.isOfAnother(since: $0.account.createdAt) } ?? true
            }.sorted { $0.key < $1.key }, hasFallback: hasFallback)
    }

    /// Why no account can be picked: `2 are cooling down, 1 needs a log-in`.
    func obstacles(_ request: PoolRequest, busy: Set<AccountID>, now: WallTime) -> String {
        guard !members.isEmpty else { return "it has no account" }
        var counts: [(words: (one: String, many: String), count: Int)] = [
            (("is cooling down", "are cooling down"), 0), (("gives no token", "give no token"), 0),
            (("needs a log-in", "need a log-in"), 0), (("is paused", "are paused"), 0),
            (("has all the calls it may have", "have all the calls they may have"), 0),
            (("was excluded", "were excluded"), 0),
        ]
        for account in members.values.map(\.account) {
            switch standing(of: account, dimension: request.dimension, now: now) {
            case .cooling: counts[0].count += 1
            case .resting: counts[1].count += 1
            case .reauthRequired: counts[2].count += 1
            case .disabled: counts[3].count += 1
            case .available where busy.contains(account.id) || isFull(account.id, now: now): counts[4].count += 1
            case .available: counts[5].count += 1
            }
        }
        return counts.filter { $0.count > 0 }.map { "\($0.count) \($0.count == 1 ? $0.words.one : $0.words.many)" }
            .joined(separator: ", ")
    }

    /// When the first account that cannot be picked now will be available.
    func earliest(dimension: String?, now: WallTime) -> WallTime? {
        members.values.compactMap { standing(of: $0.account, dimension: dimension, now: now).end }.min()
    }
}
