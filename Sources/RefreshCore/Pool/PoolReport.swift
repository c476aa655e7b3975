/// What became of a call that was made with a picked account.
public struct PoolReport: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        case ok
        /// The account's quota is used up: it cools down.
        case quota
        /// Too many calls in too short a time: it cools down, for a shorter time where nobody says how long.
        case throttled
        /// The token was refused: the account gets a new one, once for this generation.
        case tokenRefused = "token_refused"
        /// Something else went wrong, which says nothing about the account.
        case failed
    }

    public var pool: PoolName
    public var account: AccountID
    /// Of the token that the call was made with.
    public var generation: Generation?
    public var outcome: Outcome
    /// When the provider says that the account can be used again, on the fleet's clock.
    public var until: WallTime?
    /// Of the request, where the quota is counted for it alone.
    public var dimension: String?
    /// Why, in a few words for people; never a body. At most ``maximumCause`` bytes count.
    public var cause: String
    /// Of the pick. A report does not release it: the call may go on.
    public var lease: PoolLease?

    public static let maximumCause = 200

    /// Whether it decides if the account can be picked: whoever calls again should not do so before it has been told.
    public var changesPicks: Bool { outcome == .quota || outcome == .throttled || probe != nil }

    /// The try of an account that is cooling down that the call was made for.
    var probe: AttemptID? { lease?.isProbe == true ? lease?.attempt : nil }

    public init(
        pool: PoolName, account: AccountID, generation: Generation? = nil, outcome: Outcome, until: WallTime? = nil,
        dimension: String? = nil, cause: String = "", lease: PoolLease? = nil
    ) {
        self.pool = pool
        self.account = account
        self.generation = generation
        self.outcome = outcome
        self.until = until
        self.dimension = dimension
        self.cause = cause
        self.lease = lease
    }
}
