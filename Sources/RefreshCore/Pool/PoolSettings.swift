/// What the configuration says about a pool.
public struct PoolSettings: Sendable, Hashable {
    public var name: PoolName
    /// In the order in which callers are given accounts from them; never empty.
    public var tiers: [TierName]
    /// Nil: no accounts are acquired.
    public var acquisition: AcquisitionLimits?
    /// By which of a tier's available accounts a caller is given one.
    public var strategy = PoolStrategy.roundRobin
    public var cooldowns = CooldownRules()
    /// How many calls may use an account at the same time, over the whole fleet; nil for any number.
    public var maxConcurrent: Int?
    /// After this a call counts as over that nobody has said is. Default 10 min.
    public var leaseTTL = Duration.seconds(600)
    /// How long a caller waits for a new account where all are spent. Default 15 s.
    public var acquisitionWait = Duration.seconds(15)

    /// `anonymous`, `shared`, `personal`.
    public static let usualTiers = ["anonymous", "shared", "personal"].compactMap { try? TierName($0) }

    public init(name: PoolName, tiers: [TierName] = usualTiers, acquisition: AcquisitionLimits? = nil) {
        self.name = name
        self.tiers = tiers.isEmpty ? Self.usualTiers : tiers
        self.acquisition = acquisition
    }
}

/// By what an account is taken out of those of a tier that are available.
public enum PoolStrategy: String, Sendable, Hashable, CaseIterable {
    /// One after the other, in the order of their ids. Counted by each instance for itself.
    case roundRobin = "round_robin"
    /// The one that this instance has not given out for longest.
    case leastRecentlyUsed = "least_recently_used"
    /// The first in the order of their ids, until it is spent.
    case fillFirst = "fill_first"
    /// In proportion to the label `weight` of each, evenly spread. Counted by each instance for itself.
    case weighted
    /// The same for the same session, on all instances; without a session like ``roundRobin``.
    case sticky
}

/// For how long accounts cool down.
public struct CooldownRules: Sendable, Hashable {
    /// After a used up quota where nobody says how long, doubled with each further one. Default 60 s.
    public var quota = Duration.seconds(60)
    /// The same after too many calls in too short a time. Default 10 s.
    public var throttled = Duration.seconds(10)
    /// What doubling ends at. After the end of a cool-down its repetition is remembered for as long. Default 1 h.
    public var longest = Duration.seconds(3600)
    /// The longest that a provider is believed. Default 7 days.
    public var limit = Duration.seconds(7 * 86_400)

    public init() {}

    /// What a first cool-down takes.
    func first(_ outcome: PoolReport.Outcome) -> Duration { outcome == .throttled ? throttled : quota }
}

/// When a pool gets a new account by itself, and how often.
public struct AcquisitionLimits: Sendable, Hashable {
    /// That the new account joins.
    public var tier: TierName
    /// An account is acquired while fewer than these are available. Default 1.
    public var minAvailable: Int
    /// Runs a day (UTC), failed ones included, since they may have made an account too. Default 10.
    public var maxPerDay: Int
    /// Between the starts of two runs. Default 60 s.
    public var minInterval: Duration
    /// No run takes longer.
    public var longestRun: Duration

    public init(
        tier: TierName, minAvailable: Int = 1, maxPerDay: Int = 10, minInterval: Duration = .seconds(60),
        longestRun: Duration
    ) {
        self.tier = tier
        self.minAvailable = minAvailable
        self.maxPerDay = maxPerDay
        self.minInterval = minInterval
        self.longestRun = longestRun
    }

    /// How long a run keeps others from starting one: longer than it can take, storing included.
    public var holdTime: Duration { longestRun + .seconds(30) }
}
