/// A token response that could not be committed because its account had moved on; or credentials that a restored one
/// has replaced. Says everything about it but its tokens.
public struct Orphan: Sendable, Hashable {
    /// Why it could not be the account's newest generation.
    public enum Cause: String, Sendable, Hashable, CaseIterable {
        /// The account had a newer generation: re-authorised meanwhile, or refreshed by a recovery.
        case moved
        /// The account had been removed.
        case removed
        /// It was the account's newest generation until an orphan was restored over it.
        case replaced
    }

    /// The attempt that got it; its name in the list.
    public var attempt: AttemptID
    /// The generation that was spent for it, or, where it was replaced, that it was.
    public var generation: Generation
    /// When it was put aside, on the clock of Redis.
    public var keptAt: WallTime
    /// Nil where an older version kept it.
    public var cause: Cause?
    /// The instance that put it aside.
    public var origin: InstanceID?
    public var provider: ProviderName?
    /// The generation that stood in its way; absent where the account was removed.
    public var newest: Generation?
    /// When its access token ends; absent when it has none or cannot be opened.
    public var expiresAt: WallTime?
    /// Whether the sealing keys at hand open it.
    public var canBeOpened: Bool

    public init(
        attempt: AttemptID, generation: Generation, keptAt: WallTime, cause: Cause? = nil, origin: InstanceID? = nil,
        provider: ProviderName? = nil, newest: Generation? = nil, expiresAt: WallTime? = nil,
        canBeOpened: Bool = false
    ) {
        self.attempt = attempt
        self.generation = generation
        self.keptAt = keptAt
        self.cause = cause
        self.origin = origin
        self.provider = provider
        self.newest = newest
        self.expiresAt = expiresAt
        self.canBeOpened = canBeOpened
    }
}

/// What came of ``OrphanStore/restore(_:of:force:)``.
public enum RestoreReply: Sendable, Hashable {
    /// What keeps an orphan from being restored without force.
    public enum Obstacle: String, Sendable, Hashable {
        /// An attempt holds the account's lock.
        case held
        /// An intent stands whose attempt may still be under way.
        case open
        /// A newer version has an intent there that this one cannot read.
        case foreign
    }

    /// Its tokens are the account's newest generation now, and it is off the list.
    case restored(Generation)
    case busy(Obstacle)
    case noOrphan
    /// There is no such account, or it was removed: add it again first.
    case noAccount
    /// The account is at another provider now than the one that issued the orphan's tokens.
    case otherProvider(account: ProviderName, orphan: ProviderName)
}

public enum DropReply: Sendable, Hashable {
    case dropped
    /// It was the last that spoke for the account, whose newest refresh token had been refused: somebody has to log in.
    case droppedLast
    case noOrphan
}

/// Orphans: the port through which people look at them and decide on them.
public protocol OrphanStore: Sendable {
    /// Oldest first; those of removed accounts too.
    func orphans(of account: AccountID) async throws(StoreError) -> [Orphan]
    /// How many each account has; accounts without any are left out.
    func orphanCounts(_ accounts: [AccountID]) async throws(StoreError) -> [AccountID: Int]
    /// Makes an orphan's tokens the account's newest generation, clears its failures and puts it back into the
    /// schedule. Refuses while a refresh is under way, unless `force`: the refresh's answer is an orphan then.
    func restore(_ attempt: AttemptID, of account: AccountID, force: Bool) async throws(StoreError) -> RestoreReply
    /// Throws an orphan's tokens away for good.
    func drop(_ attempt: AttemptID, of account: AccountID) async throws(StoreError) -> DropReply
}
