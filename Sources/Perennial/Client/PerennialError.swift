import PerennialConfiguration
import RefreshCore

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// Why there is no token, or no Perennial at all, and what to do.
///
/// Holds no secret: it can be logged and shown to operators.
public struct PerennialError: Error, Sendable, CustomStringConvertible {
    /// The kind of problem. Open to new kinds, so switch with a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// A stable lower-case word.
        public let description: String

        init(_ description: String) { self.description = description }

        /// The configuration cannot be used; the message has a line for each thing that is wrong.
        public static let configuration = Code("configuration")
        /// A problem with this machine's files or programs.
        public static let start = Code("start")
        /// A name, a token or a time that cannot be one.
        public static let invalidArgument = Code("invalid_argument")
        public static let accountNotFound = Code("account_not_found")
        /// The provider refused the account's newest refresh token.
        public static let reauthRequired = Code("reauth_required")
        /// A single-use refresh token was spent, its answer never came, and nothing may be sent again.
        public static let outcomeUnknown = Code("outcome_unknown")
        /// An operator has paused the account.
        public static let paused = Code("paused")
        /// The account's provider is not in this instance's configuration.
        public static let unknownProvider = Code("unknown_provider")
        /// A refresh has failed a moment ago.
        public static let coolingDown = Code("cooling_down")
        public static let providerThrottled = Code("provider_throttled")
        /// The provider refuses this client, not the account.
        public static let providerMisconfigured = Code("provider_misconfigured")
        /// The provider could not be reached or gave no usable answer.
        public static let providerUnavailable = Code("provider_unavailable")
        /// Redis is away.
        public static let storeUnavailable = Code("store_unavailable")
        /// Redis is there, but refuses to work or holds what cannot be read.
        public static let storeUnusable = Code("store_unusable")
        /// The journal cannot be written, so no refresh token is spent.
        public static let journalUnavailable = Code("journal_unavailable")
        public static let timedOut = Code("timed_out")
        public static let shuttingDown = Code("shutting_down")
        public static let poolNotFound = Code("pool_not_found")
        /// None of a pool's accounts is available.
        public static let poolExhausted = Code("pool_exhausted")
    }

    /// What gets a token again.
    public enum Remedy: Sendable, Hashable {
        /// Somebody logs in again: `perennial login`, or ``PerennialClient/addAccount(_:provider:refreshToken:accessToken:expiresAt:name:pool:tier:)``
        /// with a new refresh token.
        case logInAgain
        /// The same call later, not before this long.
        case retry(after: Duration)
        /// The account is added first.
        case addAccount
        /// An operator ends the pause: `perennial accounts resume`.
        case resumeAccount
        /// The configuration or this machine is changed; the message says how.
        case changeSetup
        /// The code that called.
        case changeCall
    }

    public let code: Code
    public let message: String
    public let remedy: Remedy
    public let account: String?
    public let pool: String?
    /// When another try makes sense, on the clock that the fleet shares; nil where that is not known.
    public let retryAt: Date?
    /// What the body of `withToken` had thrown before this, if it came to that.
    public internal(set) var underlying: (any Error)?

    init(
        _ code: Code, _ message: String, remedy: Remedy, account: AccountID? = nil, pool: PoolName? = nil,
        retryAt: WallTime? = nil
    ) {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.account = account?.rawValue
        self.pool = pool?.rawValue
        self.retryAt = retryAt.map { Date($0) }
    }

    /// How long to wait before the same call; nil where waiting alone does not help.
    public var retryAfter: Duration? {
        if case .retry(let after) = remedy { return after }
        return nil
    }

    /// What went wrong, whose it is, and what to do.
    public var description: String {
        let whose = account.map { "account \($0): " } ?? pool.map { "pool \($0): " } ?? ""
        let advice = advice.map { " (\($0))" } ?? ""
        return "\(code): \(whose)\(message)\(advice)"
    }

    private var advice: String? {
        switch remedy {
        case .logInAgain: "log in again with perennial login, or give the account a new refresh token"
        case .retry(let after): "try again in \(max(1, (after.wholeMilliseconds + 999) / 1000)) s"
        case .addAccount: "add the account first"
        case .resumeAccount: "perennial accounts resume ends the pause"
        case .changeSetup, .changeCall: nil
        }
    }
}
