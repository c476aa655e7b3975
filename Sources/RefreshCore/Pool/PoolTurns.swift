/// An account of a pool, with what every pick asks of it.
final class PoolEntry: Sendable {
    let account: AccountSnapshot
    let weight: Int
    let hash: UInt64
    /// Whether its token is known: not, where the account was refreshed by others since it was read.
    let isRead: Bool

    init(_ account: AccountSnapshot, isRead: Bool = true) {
        self.account = account
        self.isRead = isRead
        weight = PoolTurns.weight(of: account)
        hash = PoolTurns.hash(account.id.rawValue)
    }

    var id: AccountID { account.id }

    /// Whether it has a valid token, as far as that is known.
    func isValid(at now: WallTime) -> Bool { !isRead || account.isValid(at: now) }
}

/// Whose turn it is among the available accounts of a tier: the strategies, and what they remember.
///
/// What is remembered is of this instance alone; nothing is asked of the store. ``PoolStrategy/fillFirst`` and
/// ``PoolStrategy/sticky`` remember nothing, so that all instances agree.
struct PoolTurns: Sendable {
    let strategy: PoolStrategy
    /// Instances begin at different accounts.
    private let seed: UInt64
    private var last: [TierName: AccountID] = [:]
    private var uses: [AccountID: UInt64] = [:]
    private var credits: [AccountID: Int] = [:]
    private var count: UInt64 = 0

    init(strategy: PoolStrategy, seed: UInt64) {
        self.strategy = strategy
        self.seed = seed
    }

    /// The label that says how often an account is taken compared to others of its tier: a whole number, 0 for "only when no
    /// other is left". Without it, or with something else in it, 1.
    static let weightLabel = "weight"
    static let heaviest = 1000

    static func weight(of account: AccountSnapshot) -> Int {
        guard let text = account.labels[weightLabel], let weight = Int(text), (0...heaviest).contains(weight) else {
            return 1
        }
        return weight
    }

    /// The accounts by whose turn it is, at most `most` of them.
    ///
    /// - Parameter accounts: of one tier, in the order of their ids.
    func order(
        _ accounts: [PoolEntry], tier: TierName, session: String?, most: Int
    ) -> [PoolEntry] {
        guard accounts.count > 1 else { return accounts }
        let ranks: [(rank: (Int64, UInt64), account: PoolEntry)]
        switch strategy {
        case .fillFirst: return Array(accounts.prefix(most))
        case .sticky where session != nil:
            let session = Self.hash(session ?? "")
            ranks = accounts.map { ((0, ~Self.mix(session ^ $0.hash)), $0) }
        case .roundRobin, .sticky:
            let start = start(in: accounts, tier)
            return (0..<min(most, accounts.count)).map { accounts[(start + $0) % accounts.count] }
        case .leastRecentlyUsed:
            ranks = accounts.map { account in
                let uses = uses[account.id] ?? 0
                return ((Int64(uses), uses > 0 ? 0 : Self.mix(seed ^ account.hash)), account)
            }
        case .weighted:
            ranks = accounts.map { account in
                let weight = account.weight
                let credit = (credits[account.id] ?? 0) + weight
                return ((weight == 0 ? .max : -Int64(credit), Self.mix(seed ^ account.hash)), account)
            }
        }
        if most == 1 { return ranks.min { $0.rank < $1.rank }.map { [$0.account] } ?? [] }
        return ranks.sorted { $0.rank < $1.rank }.prefix(most).map(\.account)
    }

    /// One of them was given out.
    mutating func take(_ taken: AccountID, of accounts: [PoolEntry], tier: TierName) {
        switch strategy {
        case .fillFirst: break
        case .roundRobin, .sticky: last[tier] = taken
        case .leastRecentlyUsed:
            count += 1
            uses[taken] = count
        case .weighted:
            // Each gains its weight, and the one that is taken pays for all: the spread is even, not in bursts.
            var total = 0
            for account in accounts {
                let weight = account.weight
                total += weight
                credits[account.id, default: 0] += weight
            }
            credits[taken, default: 0] -= total
        }
    }

    /// Forgets those that are not in the pool any more.
    mutating func keep(_ isMember: (AccountID) -> Bool) {
        uses = uses.filter { isMember($0.key) }
        credits = credits.filter { isMember($0.key) }
    }

    private func start(in accounts: [PoolEntry], _ tier: TierName) -> Int {
        guard let last = last[tier] else { return Int(seed % UInt64(accounts.count)) }
        return accounts.firstIndex { $0.id > last } ?? 0
    }

    /// FNV-1a, so that every instance, version and machine agrees.
    static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return mix(hash)
    }

    private static func mix(_ word: UInt64) -> UInt64 {
        var generator = SplitMix64(seed: word)
        return generator.next()
    }
}
