/// What a provider does with a refresh token that has been used.
public enum RotationBehaviour: Sendable, Hashable, CustomStringConvertible {
    /// Replaced at each refresh; using it again may kill the account.
    case singleUse
    /// Replaced at each refresh; using it again within this time of its first use is forgiven.
    case grace(Duration)
    /// Survives use.
    case reusable

    public var description: String {
        switch self {
        case .singleUse: "single_use"
        case .grace(let leeway): "grace \(Int(leeway.inSeconds)) s"
        case .reusable: "reusable"
        }
    }
}

/// How the accounts of one provider are refreshed: times, rotation and bounds.
public struct RefreshPolicy: Sendable, Hashable {
    public var provider: ProviderName
    public var rotation: RotationBehaviour
    /// How long before its expiry an access token is no longer handed out without trying a refresh.
    public var skew: Duration
    /// How long before expiry the proactive refresh is due.
    public var window: Duration
    /// From the moment BEGIN was sent: later than this the request is not sent any more. Default 2 s.
    public var sendBy: Duration
    /// Hard limit of the exchange with the token endpoint, connecting included. Default 20 s.
    public var exchangeDeadline: Duration
    /// Limit of connecting within it. Default 5 s.
    public var connectTimeout: Duration
    /// Life of the lock, and age from which an intent counts as left behind. Default 30 s.
    public var lockTTL: Duration
    /// Exchanges with this provider under way at once, per instance. Default 16: a token endpoint is not
    /// made for crowds, and at 200 ms each that is 80 refreshes a second.
    public var maxConcurrentExchanges: Int
    /// First and longest back-off after failures.
    public var backoffBase: Duration
    public var backoffCap: Duration
    /// The fields that an account of this provider is made of; nil where it is a refresh token.
    public var accountFields: [String]?
    /// Refreshes over the whole fleet; nil for no limit.
    public var rateLimit: RateLimit?
    /// Nil: a provider that fails is asked for each account all the same.
    public var circuitBreaker: CircuitBreaker?
    /// How long a log-in lasts where the provider does not say; nil where that is not known.
    public var grantMaxAge: Duration?
    /// How long before the end of a grant that is announced.
    public var grantWarning: Duration

    public init(
        provider: ProviderName, rotation: RotationBehaviour = .singleUse, skew: Duration = .seconds(60),
        window: Duration = .seconds(300), sendBy: Duration = .seconds(2),
        exchangeDeadline: Duration = .seconds(20), connectTimeout: Duration = .seconds(5),
        lockTTL: Duration = .seconds(30), maxConcurrentExchanges: Int = 16,
        backoffBase: Duration = .seconds(1), backoffCap: Duration = .seconds(300), accountFields: [String]? = nil,
        rateLimit: RateLimit? = nil, circuitBreaker: CircuitBreaker? = nil, grantMaxAge: Duration? = nil,
        grantWarning: Duration = .seconds(7 * 86_400)
    ) {
        self.rateLimit = rateLimit
        self.circuitBreaker = circuitBreaker
        self.grantMaxAge = grantMaxAge
        self.grantWarning = grantWarning
        self.provider = provider
        self.rotation = rotation
        self.skew = skew
        self.window = window
        self.sendBy = sendBy
        self.exchangeDeadline = exchangeDeadline
        self.connectTimeout = connectTimeout
        self.lockTTL = lockTTL
        self.maxConcurrentExchanges = maxConcurrentExchanges
        self.backoffBase = backoffBase
        self.backoffCap = backoffCap
        self.accountFields = accountFields
    }

    /// What an operator has to do for an account that the provider has refused, as a sentence without a full stop.
    public var reauthorizationAdvice: String {
        guard let accountFields else { return "log in again and put the new refresh token" }
        guard let last = accountFields.last else {
            return "check what the provider knows of the account and of the client, then put the account again"
        }
        let others = accountFields.dropLast().joined(separator: ", ")
        let names = others.isEmpty ? last : "\(others) and \(last)"
        return "check the account's \(names) at the provider and put the credentials again, the same or new ones"
    }

    /// What callers of an account that needs a new log-in are told.
    func reauthorizationFailure(_ snapshot: AccountSnapshot) -> RefreshFailure {
        let cause = snapshot.lastFault.map { ": \($0.message)" } ?? ""
        return RefreshFailure(
            .reauthRequired, "\(reauthorizationAdvice)\(cause)", cause: snapshot.lastFault?.kind)
    }

    /// Slack between the end of an exchange and the end of the lock: the time for journal and COMMIT.
    public static let lockMargin: Duration = .seconds(1)

    /// How long after a failover of the store no refresh token is spent: whoever had a claim that was lost has its
    /// answer by then, and has stored it.
    public var failoverHold: Duration { sendBy + exchangeDeadline + .seconds(3) }

    /// Why these times cannot be safe together, or nil: the lock has to outlive the exchange, because it is not renewed.
    public var contradiction: String? {
        let needed = sendBy + exchangeDeadline + Self.lockMargin
        if lockTTL < needed {
            return "lock_ttl (\(lockTTL.inSeconds) s) is shorter than send_by + exchange_deadline + margin "
                + "(\(needed.inSeconds) s): raise lock_ttl or lower exchange_deadline"
        }
        if skew > window {
            return "skew (\(skew.inSeconds) s) is longer than window (\(window.inSeconds) s): "
                + "tokens would be withheld before their proactive refresh is due"
        }
        return nil
    }

    /// The skew for a token that lives `lifetime`: a fifth of it at most, so that short-lived tokens are usable.
    public func effectiveSkew(lifetime: Duration?) -> Duration {
        guard let lifetime else { return skew }
        return min(skew, lifetime / 5)
    }

    /// The window for a token that lives `lifetime`: half of it at most, so that it is not refreshed without end.
    public func effectiveWindow(lifetime: Duration?) -> Duration {
        guard let lifetime else { return window }
        return max(min(window, lifetime / 2), effectiveSkew(lifetime: lifetime))
    }

    /// When the proactive refresh is due: expiry − window − a jitter of up to a fifth of the window, which spreads
    /// accounts that were added together.
    public func dueTime(
        expiresAt: WallTime, obtainedAt: WallTime, using generator: inout some RandomNumberGenerator
    ) -> WallTime {
        let lifetime: Duration? = expiresAt > obtainedAt ? expiresAt - obtainedAt : nil
        let window = effectiveWindow(lifetime: lifetime)
        let spread = max(0, window.wholeMilliseconds / 5)
        let jitter = spread > 0 ? Int64.random(in: 0...spread, using: &generator) : 0
        return expiresAt - window - .milliseconds(jitter)
    }

    /// The pause before the next try after `failures` failures in a row: full jitter over an exponentially growing
    /// range, but never so long that a token with `remaining` life runs out without several more tries.
    public func backoff(
        failures: Int, remaining: Duration, using generator: inout some RandomNumberGenerator
    ) -> Duration {
        let exponent = min(max(failures - 1, 0), 20)
        var ceiling = min(backoffCap, backoffBase * (1 << exponent))
        if remaining > .zero { ceiling = min(ceiling, max(remaining / 4, backoffBase)) }
        // Half of the base stays as a floor: full jitter alone can hammer a provider that has just failed.
        let floor = backoffBase.wholeMilliseconds / 2
        let top = max(ceiling.wholeMilliseconds, floor + 1)
        return .milliseconds(Int64.random(in: floor...top, using: &generator))
    }
}

/// Where the core looks up how a provider's accounts are refreshed.
public protocol PolicySource: Sendable {
    /// Nil when this instance's configuration does not know the provider.
    func policy(for provider: ProviderName) -> RefreshPolicy?
    var providers: [ProviderName] { get }
}
