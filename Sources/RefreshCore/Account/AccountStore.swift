/// A store operation that did not work, and whether it may have taken effect.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The store is away and the operation was not carried out.
        case unavailable
        /// The operation was sent and its reply lost: it may have been carried out.
        case outcomeUnknown
        /// The store refused it: out of memory, read-only, no permission, still loading.
        case refused
        /// The store holds something this version cannot read.
        case corrupt
        /// A sealed value could not be opened with the keys at hand.
        case sealing
        case cancelled
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    /// Whether it is about one record and says nothing about others: that one cannot be read here.
    public var isOfOneRecord: Bool { code == .corrupt || code == .sealing }
}

/// The claim to one generation's refresh token: what BEGIN grants, and the only place a refresh token comes from.
public struct RefreshClaim: Sendable, Hashable {
    public var account: AccountSnapshot
    public var attempt: AttemptID
    public var generation: Generation
    public var refreshToken: Secret
    /// True for the one re-send of a generation whose first spend was left unresolved.
    public var isRecovery: Bool
    /// Whether failures of the provider stand, which an answer has to clear.
    public var followsFailures: Bool

    public init(
        account: AccountSnapshot, attempt: AttemptID, generation: Generation, refreshToken: Secret, isRecovery: Bool,
        followsFailures: Bool = false
    ) {
        self.followsFailures = followsFailures
        self.account = account
        self.attempt = attempt
        self.generation = generation
        self.refreshToken = refreshToken
        self.isRecovery = isRecovery
    }
}

/// The arguments of BEGIN.
public struct BeginRequest: Sendable, Hashable {
    public var account: AccountID
    public var provider: ProviderName
    public var demand: RefreshDemand
    public var attempt: AttemptID
    public var origin: InstanceID
    public var lockTTL: Duration
    /// Take over from this dead attempt: a recovery re-send.
    public var recovering: AttemptID?
    /// An operator's demand does not wait for the account's own back-off.
    public var ignoresBackoff: Bool
    /// The newest generation that this instance knows of: an older one is not to be spent.
    public var floor: Generation?
    /// How long after a failover nothing is granted; see ``RefreshPolicy/failoverHold``.
    public var failoverHold: Duration
    /// The provider's, over the whole fleet.
    public var rateLimit: RateLimit?

    public init(
        account: AccountID, provider: ProviderName, demand: RefreshDemand, attempt: AttemptID, origin: InstanceID,
        lockTTL: Duration, recovering: AttemptID? = nil, ignoresBackoff: Bool = false, floor: Generation? = nil,
        failoverHold: Duration = .zero, rateLimit: RateLimit? = nil
    ) {
        self.rateLimit = rateLimit
        self.floor = floor
        self.failoverHold = failoverHold
        self.account = account
        self.provider = provider
        self.demand = demand
        self.attempt = attempt
        self.origin = origin
        self.lockTTL = lockTTL
        self.recovering = recovering
        self.ignoresBackoff = ignoresBackoff
    }
}

/// What BEGIN answers.
public enum BeginReply: Sendable {
    case granted(RefreshClaim)
    /// A newer generation exists, or nothing is due.
    case fresh(AccountSnapshot)
    /// Reauthorisation required, or paused.
    case blocked(AccountSnapshot)
    case cooling(AccountSnapshot, until: WallTime, cause: RefreshFault)
    /// The provider's own rate limit leaves no room before that time. With a promise the caller may come then and go
    /// before those whose tokens still last.
    case limited(AccountSnapshot, until: WallTime, isPromised: Bool)
    /// The same, found out after the claim was written: it must not be used, and is to be given back.
    case overLimit(RefreshClaim, until: WallTime, isPromised: Bool)
    /// The provider is left alone until then: it asked for that, or its circuit breaker is open.
    case paused(AccountSnapshot, until: WallTime, cause: RefreshFault)
    /// Another attempt holds the lock for at most `remaining`.
    case held(AccountSnapshot, remaining: Duration)
    /// An intent without a live lock; `age` counts on the clock of Redis.
    case pending(AccountSnapshot, RefreshIntent, age: Duration)
    /// An intent written by a version this one does not know: never touched.
    case foreignIntent(AccountSnapshot)
    case missing
    /// The claim is written, and Redis has not confirmed it as the durability setting asks: it must not be used.
    case undurable(RefreshClaim, reason: String)
    /// Redis has failed over (or restarted) and may have lost claims: nothing is granted before `until`.
    case quarantined(AccountSnapshot, until: WallTime, reason: String)
    /// The store is at an older generation than this instance knows of: it has lost writes.
    case rolledBack(AccountSnapshot)
}

/// The arguments of COMMIT.
public struct CommitRequest: Sendable, Hashable {
    /// Why an answer is brought to the store.
    public enum Occasion: String, Sendable, Hashable {
        /// It has not been stored before, as far as is known.
        case first
        /// It was stored once and is offered again in case a failover has lost it.
        case again
        /// As ``first``, and nobody is waited for any more who might bring a store that has gone back up to date.
        case last
    }

    public var account: AccountID
    public var provider: ProviderName
    public var attempt: AttemptID
    /// The generation that was spent; the commit writes the next one.
    public var generation: Generation
    public var accessToken: Secret
    /// The new refresh token, or the old one where none was returned.
    public var refreshToken: Secret
    public var tokenType: String
    public var expiresAt: WallTime
    public var obtainedAt: WallTime
    public var dueAt: WallTime
    public var isRecovery: Bool
    public var occasion: Occasion
    /// The grant's term, where the provider has told one now.
    public var grant: GrantTerm?
    /// How near the grant is to its end; nil leaves what was announced as it is.
    public var grantStage: GrantTerm.Stage?
    /// When the grant ends, for the announcement.
    public var grantEndsAt: WallTime?
    /// Failures of the provider stand, and this answer ends them.
    public var clearsFailures: Bool

    public init(
        account: AccountID, provider: ProviderName, attempt: AttemptID, generation: Generation, accessToken: Secret,
        refreshToken: Secret, tokenType: String, expiresAt: WallTime, obtainedAt: WallTime, dueAt: WallTime,
        isRecovery: Bool, occasion: Occasion = .first, grant: GrantTerm? = nil, grantStage: GrantTerm.Stage? = nil,
        grantEndsAt: WallTime? = nil, clearsFailures: Bool = false
    ) {
        self.grant = grant
        self.grantStage = grantStage
        self.grantEndsAt = grantEndsAt
        self.clearsFailures = clearsFailures
        self.occasion = occasion
        self.account = account
        self.provider = provider
        self.attempt = attempt
        self.generation = generation
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.tokenType = tokenType
        self.expiresAt = expiresAt
        self.obtainedAt = obtainedAt
        self.dueAt = dueAt
        self.isRecovery = isRecovery
    }
}

public indirect enum CommitReply: Sendable, Hashable {
    /// Written. An account that was paused meanwhile stays paused.
    case committed(enabled: Bool)
    /// An earlier try of the same commit had been carried out.
    case already
    /// The generation had moved on, or the account was removed: the answer is kept as an orphan.
    case orphaned
    /// An earlier try had been carried out, and the account has got newer credentials since.
    case superseded
    /// Not carried out: the store is at this generation, before the one that was spent, so it has lost writes.
    case behind(Generation)
    /// Carried out, and Redis has not confirmed it as the durability setting asks: the journal must keep the answer.
    case unconfirmed(CommitReply, reason: String)

    /// What became of the commit, confirmed or not.
    public var outcome: CommitReply {
        if case .unconfirmed(let outcome, _) = self { return outcome.outcome }
        return self
    }

    /// Whether the answer rests in the store, so that the journal's part is done.
    public var isSafe: Bool {
        switch self {
        case .committed, .already, .orphaned, .superseded: true
        case .behind, .unconfirmed: false
        }
    }
}

/// How an attempt that got no tokens is put to rest.
public struct SettleRequest: Sendable, Hashable {
    /// What is known of the refresh token when the attempt ends.
    public enum Disposition: String, Sendable, Hashable {
        /// It was not spent: the intent is cleared (after a re-send: the first spend stays unresolved).
        case released
        /// The provider refused it for good: the account needs a new log-in, unless an orphan speaks for it (I4).
        case refused
        /// Nobody knows: the intent stays.
        case unresolved
        /// Not used, because the fleet's own rate limit leaves no room: as ``released``, and nobody has failed.
        case limited
    }

    public var account: AccountID
    public var provider: ProviderName
    public var attempt: AttemptID
    public var generation: Generation
    public var disposition: Disposition
    public var fault: RefreshFault
    /// From the server's now until the next try.
    public var retryAfter: Duration
    /// Pauses all accounts of the provider for this long.
    public var pauseProvider: Duration?
    /// The refresh token that was refused: remembered by its fingerprint, so that it is not taken in again. Nothing is
    /// remembered of fields (``AccountCredential/refreshToken``).
    public var refusedToken: Secret?
    public var health: ProviderHealth
    /// Nil where the provider has none.
    public var circuitBreaker: CircuitBreaker?
    /// Spreads the pause of the circuit breaker: 0 … 1000.
    public var jitter: Int
    /// Failures of the provider stand, which an answer has to clear.
    public var followsFailures: Bool

    public init(
        account: AccountID, provider: ProviderName, attempt: AttemptID, generation: Generation,
        disposition: Disposition, fault: RefreshFault, retryAfter: Duration, pauseProvider: Duration? = nil,
        refusedToken: Secret? = nil, health: ProviderHealth = .unknown, circuitBreaker: CircuitBreaker? = nil,
        jitter: Int = 0, followsFailures: Bool = false
    ) {
        self.refusedToken = refusedToken
        self.health = health
        self.circuitBreaker = circuitBreaker
        self.jitter = jitter
        self.followsFailures = followsFailures
        self.account = account
        self.provider = provider
        self.attempt = attempt
        self.generation = generation
        self.disposition = disposition
        self.fault = fault
        self.retryAfter = retryAfter
        self.pauseProvider = pauseProvider
    }
}

public enum SettleReply: Sendable {
    case settled(AccountSnapshot)
    /// The generation has moved on: the failure concerns nobody any more.
    case moved(AccountSnapshot)
    case missing
}

/// The accounts of the fleet: the port that RedisStore implements.
public protocol AccountStore: Sendable {
    func begin(_ request: BeginRequest) async throws(StoreError) -> BeginReply
    func commit(_ request: CommitRequest) async throws(StoreError) -> CommitReply
    func settle(_ request: SettleRequest) async throws(StoreError) -> SettleReply
    /// Nil when there is no such account.
    func read(_ account: AccountID) async throws(StoreError) -> AccountSnapshot?
}
