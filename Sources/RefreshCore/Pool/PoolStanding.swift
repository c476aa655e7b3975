/// How an account of a pool stands, as far as one dimension is concerned.
public enum PoolStanding: Sendable, Hashable {
    case available
    case cooling(Cooldown)
    /// Its token could not be had, and is not asked for before that time.
    case resting(until: WallTime)
    case disabled
    case reauthRequired

    /// When it is over by itself.
    public var end: WallTime? {
        switch self {
        case .cooling(let cooldown): cooldown.until
        case .resting(let until): until
        case .available, .disabled, .reauthRequired: nil
        }
    }

    /// In documents.
    public var word: String {
        switch self {
        case .available: "available"
        case .cooling: "cooling_down"
        case .resting: "token_unavailable"
        case .disabled: "disabled"
        case .reauthRequired: "reauth_required"
        }
    }
}

/// An account of a pool, as this instance sees it.
public struct PoolMember: Sendable, Hashable {
    public var account: AccountSnapshot
    public var tier: TierName
    public var standing: PoolStanding
}

/// A pool, as this instance sees it.
public struct PoolStatus: Sendable, Hashable {
    public var settings: PoolSettings
    /// By tier, then by id.
    public var members: [PoolMember]
    /// In the order of account and dimension; those that are over included, as long as they are remembered.
    public var cooldowns: [Cooldown]
    public var hasFallback: Bool

    public var available: Int { members.count { $0.standing == .available } }
    /// When the first account that is not available will be; nil where none will by itself.
    public var nextAt: WallTime? { members.compactMap(\.standing.end).min() }
}
