/// Why a pool gives no token.
public struct PoolFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The configuration has no such pool.
        case poolNotFound = "pool_not_found"
        /// The account that a report names is not in the pool.
        case notInPool = "not_in_pool"
        /// A token of a generation was refused that the account has never had.
        case generationConflict = "generation_conflict"
        /// None of its accounts is available to this request.
        case exhausted = "pool_exhausted"
        /// Redis cannot be asked, and this instance knows too little.
        case storeUnavailable = "store_unavailable"
        /// Whoever asked is gone.
        case cancelled
    }

    public var kind: Kind
    public var message: String
    /// When the first account will be available again, on the fleet's clock, where that is known.
    public var nextAt: WallTime?
    /// When another try makes sense; always given with ``Kind/exhausted``.
    public var retryAfter: Duration?
    /// A new account is being acquired.
    public var isAcquiring: Bool

    public init(
        _ kind: Kind, _ message: String, nextAt: WallTime? = nil, retryAfter: Duration? = nil,
        isAcquiring: Bool = false
    ) {
        self.kind = kind
        self.message = message
        self.nextAt = nextAt
        self.retryAfter = retryAfter
        self.isAcquiring = isAcquiring
    }

    public var description: String { "\(kind.rawValue): \(message)" }
}
