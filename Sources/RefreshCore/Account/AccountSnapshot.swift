/// What an instance knows of an account at one moment: everything but the refresh token.
public struct AccountSnapshot: Sendable, Hashable {
    public var id: AccountID
    public var provider: ProviderName
    public var name: String
    public var enabled: Bool
    public var status: AccountStatus
    public var generation: Generation
    /// Absent until the first refresh of an account that was added with a refresh token only.
    public var accessToken: Secret?
    /// RFC 6749 §7.1; `Bearer` unless the provider said otherwise.
    public var tokenType: String
    /// When the access token ends, on the fleet's clock; absent with no access token.
    public var expiresAt: WallTime?
    /// When the access token was obtained, on the fleet's clock.
    public var obtainedAt: WallTime?
    public var createdAt: WallTime
    public var updatedAt: WallTime
    /// When the proactive refresh is due; absent when the account is out of the schedule.
    public var dueAt: WallTime?
    /// Failed refreshes in a row.
    public var failures: Int
    /// Not before this time will another refresh be tried.
    public var nextAttemptAt: WallTime?
    public var lastFault: RefreshFault?
    /// A spend of the current generation whose outcome is not known yet.
    public var intent: RefreshIntent?
    /// The pool from which callers may be given it; nil outside of any.
    public var pool: PoolName?
    /// Its rank in the pool; nil for the pool's default.
    public var tier: TierName?
    public var labels: AccountLabels
    /// How requests that concern it leave; nil for what its provider's configuration says.
    public var proxy: ProxySetting?
    /// When the account was last given credentials by a person: added, or logged in anew.
    public var authorizedAt: WallTime?
    /// The term of its grant, as the provider has told it.
    public var grant: GrantTerm?
    /// What has been announced of the end of its grant.
    public var grantStage: GrantTerm.Stage

    public init(
        id: AccountID, provider: ProviderName, name: String = "", enabled: Bool = true,
        status: AccountStatus = .active, generation: Generation, accessToken: Secret? = nil,
        tokenType: String = "Bearer", expiresAt: WallTime? = nil, obtainedAt: WallTime? = nil,
        createdAt: WallTime, updatedAt: WallTime, dueAt: WallTime? = nil, failures: Int = 0,
        nextAttemptAt: WallTime? = nil, lastFault: RefreshFault? = nil, intent: RefreshIntent? = nil,
        pool: PoolName? = nil, tier: TierName? = nil, labels: AccountLabels = .none, proxy: ProxySetting? = nil,
        authorizedAt: WallTime? = nil, grant: GrantTerm? = nil, grantStage: GrantTerm.Stage = .lasting
    ) {
        self.id = id
        self.provider = provider
        self.name = name
        self.enabled = enabled
        self.status = status
        self.generation = generation
        self.accessToken = accessToken
        self.tokenType = tokenType
        self.expiresAt = expiresAt
        self.obtainedAt = obtainedAt
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.dueAt = dueAt
        self.failures = failures
        self.nextAttemptAt = nextAttemptAt
        self.lastFault = lastFault
        self.intent = intent
        self.pool = pool
        self.tier = tier
        self.labels = labels
        self.proxy = proxy
        self.authorizedAt = authorizedAt
        self.grant = grant
        self.grantStage = grantStage
    }

    /// The status as shown to people: a paused account is `disabled` whatever its credentials are.
    public var shownStatus: AccountStatus { enabled ? status : .disabled }

    /// How far the clocks of those who write and read an account may be apart.
    static let clockTolerance = Duration.seconds(5)

    /// Whether the access token is there and not expired at `now` (I5).
    ///
    /// One that was obtained in the future is not: somebody has set a clock back since, and its expiry, which was
    /// counted on the old one, may be over long ago.
    public func isValid(at now: WallTime) -> Bool {
        guard let accessToken, !accessToken.isEmpty, let expiresAt else { return false }
        if let obtainedAt, obtainedAt > now + Self.clockTolerance { return false }
        return now < expiresAt
    }

    /// How long the access token will still be good; zero when it is absent or expired.
    public func remaining(at now: WallTime) -> Duration {
        guard isValid(at: now), let expiresAt else { return .zero }
        return expiresAt - now
    }

    /// The life the access token had when it was obtained; absent when that is not known.
    public var lifetime: Duration? {
        guard let expiresAt, let obtainedAt, expiresAt > obtainedAt else { return nil }
        return expiresAt - obtainedAt
    }
}
