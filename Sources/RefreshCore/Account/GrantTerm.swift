/// From when to when a grant runs: the authorization behind a refresh token, which only a new log-in renews.
public struct GrantTerm: Sendable, Hashable {
    public var since: WallTime
    public var endsAt: WallTime

    public init(since: WallTime, endsAt: WallTime) {
        self.since = since
        self.endsAt = endsAt
    }

    /// How near its end a grant is.
    public enum Stage: Int, Sendable, Hashable, Comparable {
        case lasting, expiring, lastDay

        public static func < (lhs: Stage, rhs: Stage) -> Bool { lhs.rawValue < rhs.rawValue }
    }

    /// How long before the end it is expiring: the warning time, but a quarter of the whole at most, so that grants that
    /// each refresh renews are not always about to end.
    public func expiringLead(_ warning: Duration) -> Duration {
        min(warning, max(endsAt - since, .zero) / 4)
    }

    /// How long before the end it is said once more: a day, or half of the first time.
    public func lastLead(_ warning: Duration) -> Duration { min(.seconds(86_400), expiringLead(warning) / 2) }

    public func stage(at now: WallTime, warning: Duration) -> Stage {
        if now >= endsAt - lastLead(warning) { return .lastDay }
        return now >= endsAt - expiringLead(warning) ? .expiring : .lasting
    }

    /// When it will be in another stage; nil after the last.
    public func nextStageAt(after now: WallTime, warning: Duration) -> WallTime? {
        [endsAt - expiringLead(warning), endsAt - lastLead(warning)].first { $0 > now }
    }

    /// The term after a refresh or log-in at `now`, at which the provider named `endsAt`.
    ///
    /// A provider that names the same end each time, as time left, has not begun a new term.
    static func renewed(_ old: GrantTerm?, endsAt: WallTime, now: WallTime) -> GrantTerm {
        guard let old, abs((endsAt - old.endsAt).wholeMilliseconds) <= sameEnd.wholeMilliseconds else {
            return GrantTerm(since: now, endsAt: endsAt)
        }
        return GrantTerm(since: old.since, endsAt: endsAt)
    }

    private static let sameEnd = Duration.seconds(300)
}

extension RefreshPolicy {
    /// When the grant of an account ends that was given its credentials at `authorizedAt`: what the provider says, or
    /// the configured age, whichever is earlier. Nil where neither tells.
    ///
    /// - Parameter authorizedAt: ``AccountSnapshot/grantedAt`` of an account that is there already.
    public func grantTerm(_ told: GrantTerm?, authorizedAt: WallTime?) -> GrantTerm? {
        guard let grantMaxAge, let authorizedAt else { return told }
        let aged = GrantTerm(since: authorizedAt, endsAt: authorizedAt + grantMaxAge)
        guard let told, told.endsAt < aged.endsAt else { return aged }
        return told
    }

    /// The earlier of `due` and the moment at which the end of the grant comes into sight: a refresh then may renew it,
    /// and says how near it is if not.
    func dueTime(_ due: WallTime, grant: GrantTerm?, now: WallTime) -> WallTime {
        guard let look = grant?.nextStageAt(after: now, warning: grantWarning) else { return due }
        return min(due, look)
    }
}

extension AccountSnapshot {
    /// Since when its grant runs. An account from before log-ins were noted counts from when it was added, which may be
    /// too early, so that its end is told too early rather than never. Nil where neither is known.
    public var grantedAt: WallTime? {
        authorizedAt ?? (createdAt > WallTime(milliseconds: 0) ? createdAt : nil)
    }
}

extension CommitRequest {
    /// Fills in what an answer means for the term of the grant, and lets the next refresh come in time for its end.
    ///
    /// - Parameter account: before the answer; nil where it is not known: then a term that the answer does not name
    ///   stays as it is.
    mutating func takeTerm(of grant: TokenGrant, account: AccountSnapshot?, policy: RefreshPolicy, now: WallTime) {
        guard account != nil || grant.grantExpiresAt != nil else { return }
        let told = grant.grantExpiresAt.map { GrantTerm.renewed(account?.grant, endsAt: $0, now: now) }
        let term = policy.grantTerm(told ?? account?.grant, authorizedAt: account?.grantedAt)
        self.grant = told
        grantStage = term?.stage(at: now, warning: policy.grantWarning) ?? .lasting
        grantEndsAt = term?.endsAt
        dueAt = policy.dueTime(dueAt, grant: term, now: now)
    }
}

extension PolicySource {
    /// The account with the term of its grant as it counts by the configuration, for people to see.
    public func withGrantTerm(_ account: AccountSnapshot) -> AccountSnapshot {
        guard let policy = policy(for: account.provider) else { return account }
        var account = account
        account.grant = policy.grantTerm(account.grant, authorizedAt: account.grantedAt)
        return account
    }
}
