/// What a caller wants of a pool: a token of whichever of its accounts is available.
public struct PoolRequest: Sendable, Hashable {
    public var pool: PoolName
    /// Never these: what this request has tried already.
    public var excluded: Set<AccountID>
    /// The model or scope that the call is about, where quotas are counted apart for each; of one with more than
    /// ``maximumDimension`` bytes its beginning counts. An account that cools down for another dimension can be picked.
    public var dimension: String?
    /// Pools with the strategy `sticky` give the same session the same account, as long as that is available; at most
    /// ``maximumSession`` bytes.
    public var session: String?
    /// The token has to be good for at least this long, where the provider's tokens live that long.
    public var minimumTTL: Duration?
    /// Of these accounts only a token that is newer than the given generation.
    public var refused: [AccountID: Generation]
    /// Taken before all others if it can be picked: the account whose token was refused a moment ago, and refreshed since.
    public var preferred: AccountID?

    public static let maximumDimension = 100
    public static let maximumSession = 256

    public init(
        pool: PoolName, excluded: Set<AccountID> = [], dimension: String? = nil, session: String? = nil,
        minimumTTL: Duration? = nil, refused: [AccountID: Generation] = [:], preferred: AccountID? = nil
    ) {
        self.pool = pool
        self.excluded = excluded
        self.dimension = dimension
        self.session = session
        self.minimumTTL = minimumTTL
        self.refused = refused
        self.preferred = preferred
    }
}
