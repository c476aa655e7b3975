/// Why no newer token came out of a refresh.
public struct RefreshFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case accountNotFound = "account_not_found"
        case reauthRequired = "reauth_required"
        case disabled
        case unknownProvider = "unknown_provider"
        /// After a failure, until `retryAt`.
        case coolingDown = "cooling_down"
        case providerThrottled = "provider_throttled"
        case providerMisconfigured = "provider_misconfigured"
        /// The provider could not be reached or gave no usable answer.
        case providerUnavailable = "provider_unavailable"
        /// A spend whose outcome is not known blocks further ones.
        case outcomeUnknown = "outcome_unknown"
        case storeUnavailable = "store_unavailable"
        case journalUnavailable = "journal_unavailable"
        case timedOut = "timed_out"
        case shuttingDown = "shutting_down"
    }

    public var code: Code
    public var message: String
    /// When another try makes sense, on the fleet's clock.
    public var retryAt: WallTime?
    /// The fault behind it: with `reauth_required` it tells a refusal from an outcome that is not known.
    public var cause: RefreshFault.Kind?
    /// Nothing was tried: the provider is paused, its rate limit is used up, or the account's tokens are refused however new
    /// they are.
    public var isHeldBack: Bool

    public init(
        _ code: Code, _ message: String, retryAt: WallTime? = nil, cause: RefreshFault.Kind? = nil,
        isHeldBack: Bool = false
    ) {
        self.isHeldBack = isHeldBack
        self.code = code
        self.message = message
        self.retryAt = retryAt
        self.cause = cause
    }

    public var description: String { "\(code.rawValue): \(message)" }
}

/// What a flight ends with, for everybody who waited for it.
public enum RefreshResult: Sendable {
    /// This flight spent the refresh token and committed the answer.
    case refreshed(AccountSnapshot)
    /// Somebody else had done, or did, the work.
    case newer(AccountSnapshot)
    /// The snapshot is the newest one known; its access token may still be valid.
    case failed(RefreshFailure, AccountSnapshot?)

    public var snapshot: AccountSnapshot? {
        switch self {
        case .refreshed(let snapshot), .newer(let snapshot): snapshot
        case .failed(_, let snapshot): snapshot
        }
    }
}

/// What a caller wants of a refresh.
public enum RefreshDemand: Sendable, Hashable {
    /// A generation newer than this one: it is expired, about to be, or was refused.
    case newerThan(Generation)
    /// Only what the schedule says is due: somebody may have been faster.
    case whenDue
}
