/// An account that was picked for one call, with its token. What is blamed later is this account and this generation.
public struct PoolPick: Sendable, Hashable {
    public var pool: PoolName
    public var tier: TierName
    /// Its snapshot has the account's id and generation.
    public var answer: TokenAnswer
    /// To be given to ``PoolPicking/report(_:)``, and to ``PoolPicking/release(_:)`` when the call is over. Nil where the pool
    /// does not limit concurrent calls and nothing is tried out.
    public var lease: PoolLease?

    public var account: AccountID { answer.snapshot.id }
    public var generation: Generation { answer.snapshot.generation }

    public init(pool: PoolName, tier: TierName, answer: TokenAnswer, lease: PoolLease? = nil) {
        self.pool = pool
        self.tier = tier
        self.answer = answer
        self.lease = lease
    }
}

/// What a caller of a pool gets: the token of one of its accounts, or what stands in for it.
public enum PoolToken: Sendable, Hashable {
    case account(PoolPick)
    /// The configured token of the pool, with the reason why no account is to be had. It belongs to no account: nothing about
    /// it can be reported.
    case fallback(FallbackToken, PoolFailure)

    public var pick: PoolPick? {
        if case .account(let pick) = self { return pick }
        return nil
    }

    public var accessToken: Secret {
        switch self {
        case .account(let pick): pick.answer.accessToken
        case .fallback(let token, _): token.token
        }
    }
}

/// What a pick holds of its account until the call is over: one of the concurrent calls that the pool allows, or the one try
/// of an account that is cooling down.
public struct PoolLease: Sendable, Hashable {
    public var pool: PoolName
    public var account: AccountID
    public var attempt: AttemptID
    /// Counts as one of the account's concurrent calls, until it is released or its time is over.
    public var holdsSlot: Bool
    /// The account is tried before its cool-down is over: a success ends that.
    public var isProbe: Bool

    public init(pool: PoolName, account: AccountID, attempt: AttemptID, holdsSlot: Bool, isProbe: Bool) {
        self.pool = pool
        self.account = account
        self.attempt = attempt
        self.holdsSlot = holdsSlot
        self.isProbe = isProbe
    }

    /// For callers to send back: letters that say what it is, a dash, the attempt.
    public var text: String { (holdsSlot ? "s" : "") + (isProbe ? "p" : "") + "-" + attempt.rawValue }

    /// Reads ``text``; nil for what is none.
    public init?(text: String, pool: PoolName, account: AccountID) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, ["s", "p", "sp"].contains(parts[0]), parts[1].utf8.count == 32,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(
            pool: pool, account: account, attempt: AttemptID(rawValue: String(parts[1])),
            holdsSlot: parts[0].contains("s"), isProbe: parts[0].contains("p"))
    }
}
