/// A token response that was received and is not yet known to be in the store.
public struct JournalEntry: Sendable, Hashable {
    public var account: AccountID
    public var provider: ProviderName
    public var attempt: AttemptID
    /// The generation that was spent for it.
    public var generation: Generation
    /// The refresh token that was spent: it stays in use where the answer holds no new one.
    public var spentRefreshToken: Secret
    public var isRecovery: Bool
    public var response: RawTokenResponse
    /// Whether it has been in the store, and is kept for a while because a failover can lose it there.
    public var isStored: Bool

    public init(
        account: AccountID, provider: ProviderName, attempt: AttemptID, generation: Generation,
        spentRefreshToken: Secret, isRecovery: Bool, response: RawTokenResponse, isStored: Bool = false
    ) {
        self.isStored = isStored
        self.account = account
        self.provider = provider
        self.attempt = attempt
        self.generation = generation
        self.spentRefreshToken = spentRefreshToken
        self.isRecovery = isRecovery
        self.response = response
    }
}

/// The journal could not be written or read: disk full, read-only, failing fsync, wrong key.
public struct JournalError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// The write-ahead journal of an instance (I3): the port that the Journal target implements on disk.
public protocol ResponseJournal: Sendable {
    /// Cheap check before a refresh token is spent.
    ///
    /// - Throws: ``JournalError`` once a write or fsync has failed and not worked again since.
    func checkWritable() async throws(JournalError)
    /// Returns only when the entry is on disk (fsync).
    func append(_ entry: JournalEntry) async throws(JournalError)
    /// Forgets an entry whose answer is in the store. Needs no fsync: replaying once more is harmless.
    func release(_ attempt: AttemptID) async
    /// Every entry that is not known to be in the store, oldest first.
    func pending() async -> [JournalEntry]
    /// The answer is in the store: keeps the entry for a while, marked as stored, in case a failover loses it there.
    func retain(_ attempt: AttemptID) async
    /// Every entry that was in the store and is still kept, oldest first.
    func retained() async -> [JournalEntry]
    /// Forgets retained entries that have been in the store for long enough.
    func releaseExpired() async
    /// What is held of one account, stored or not, in the order of generations.
    func entries(of account: AccountID) async -> [JournalEntry]
}
