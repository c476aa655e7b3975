import RefreshCore

/// What a Redis server holds, and what the scripts in `RedisStore/Scripts` do with it, as a pure value.
///
/// The one model of the store: ``ModelStore`` puts it behind the ports for tests of several coordinators, the simulator
/// copies it for replicas and disks, and a differential test runs it against the real scripts. Every function is given
/// the server's clock, as the scripts read `TIME`; keys with a TTL end on that clock too.
public struct ModelState: Sendable {
    /// The string with TTL that holds an attempt's id.
    public struct Lock: Sendable, Hashable {
        public var attempt: AttemptID
        public var until: WallTime
    }

    /// An account's hash.
    public struct Record: Sendable {
        public var snapshot: AccountSnapshot
        public var refreshToken: Secret
        /// The attempts that were committed last, newest first; they outlive new credentials and removal.
        public var recentAttempts: [AttemptID] = []
        /// Only the generation counts then: it must never repeat.
        public var isRemoved = false
        public var hasForeignIntent = false
        /// Refresh tokens that a provider has refused, newest first; they outlive new credentials and removal, too.
        public var refusals: [Refusal] = []
        /// What the account was put with.
        public var putToken: TokenKey?
    }

    /// What stands for a refresh token: in Redis its fingerprint.
    public struct TokenKey: Sendable, Hashable {
        public var provider: ProviderName
        public var token: Secret

        /// Nil for what is not recognised when it comes again.
        init?(provider: ProviderName, credential: Secret) {
            guard let token = AccountCredential(credential).refreshToken else { return nil }
            self.provider = provider
            self.token = token
        }
    }

    public struct Refusal: Sendable, Hashable {
        public var token: TokenKey
        public var at: WallTime
    }

    public struct Pause: Sendable, Hashable {
        public var until: WallTime
        public var cause: RefreshFault
    }

    public struct Lease: Sendable, Hashable {
        public var holder: InstanceID
        public var epoch: Int64
        public var until: WallTime
    }

    public var records: [AccountID: Record] = [:]
    public var locks: [AccountID: Lock] = [:]
    public var orphans: [AccountID: [CommitRequest]] = [:]
    /// The schedule, an index apart from the accounts: taking what is due moves entries here only.
    public var due: [ProviderName: DueIndex] = [:]
    public var pauses: [ProviderName: Pause] = [:]
    public var breakers: [ProviderName: Breaker] = [:]
    public var buckets: [ProviderName: RateBucket] = [:]
    /// Refresh tokens by the account that was put with them last.
    public var tokenOwners: [TokenKey: AccountID] = [:]
    public var lease: Lease?
    public var leaseEpoch: Int64 = 0
    /// Since when this server has been in charge; nil for the one that was there from the beginning.
    public var inChargeSince: WallTime?
    /// Counts writes, as the replication offset does: what a durability wait refers to.
    public var writes: Int64 = 0
    /// What has been published and not been passed on yet.
    public var outbox: [FleetSignal] = []
    /// A fault put in on purpose, to prove that it is noticed.
    public var planted: PlantedMutation?

    public init() {}

    // MARK: Looking

    public func account(_ id: AccountID) -> AccountSnapshot? {
        guard let record = records[id], !record.isRemoved else { return nil }
        return record.snapshot
    }

    public func liveLock(_ id: AccountID, now: WallTime) -> Lock? {
        guard let lock = locks[id], now < lock.until else { return nil }
        return lock
    }

    public func dueTime(_ id: AccountID) -> WallTime? {
        guard let provider = records[id]?.snapshot.provider else { return nil }
        return due[provider]?[id]
    }

    // MARK: What the scripts share

    /// `free_lock` of prelude.lua.
    mutating func freeLock(_ id: AccountID, attempt: AttemptID, now: WallTime) {
        guard let lock = liveLock(id, now: now) else {
            locks[id] = nil
            return
        }
        if lock.attempt == attempt || planted == .releaseWithoutOwnerCheck {
            locks[id] = nil
            writes += 1
        }
    }

    mutating func announce(_ id: AccountID, _ generation: Generation, _ outcome: AccountChange.Outcome) {
        outbox.append(.changed(AccountChange(account: id, generation: generation, outcome: outcome)))
    }

    /// The intent that the scripts see: of this generation, and written by a version that is known.
    func intent(of record: Record) -> RefreshIntent? {
        guard let intent = record.snapshot.intent, intent.generation == record.snapshot.generation else { return nil }
        return intent
    }
}
