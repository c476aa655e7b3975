/// What the configuration says about a pool.
public struct PoolSettings: Sendable, Hashable {
    public var name: PoolName
    /// In the order in which callers are given accounts from them; never empty.
    public var tiers: [TierName]
    /// Nil: no accounts are acquired.
    public var acquisition: AcquisitionLimits?

    /// `anonymous`, `shared`, `personal`.
    public static let usualTiers = ["anonymous", "shared", "personal"].compactMap { try? TierName($0) }

    public init(name: PoolName, tiers: [TierName] = usualTiers, acquisition: AcquisitionLimits? = nil) {
        self.name = name
        self.tiers = tiers.isEmpty ? Self.usualTiers : tiers
        self.acquisition = acquisition
    }
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
