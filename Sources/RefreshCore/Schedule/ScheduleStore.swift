/// An account whose proactive refresh is due.
public struct DueAccount: Sendable, Hashable {
    public var account: AccountID
    public var provider: ProviderName

    public init(account: AccountID, provider: ProviderName) {
        self.account = account
        self.provider = provider
    }
}

/// What a look at the schedule found.
public struct DueBatch: Sendable, Hashable {
    public var due: [DueAccount]
    /// How long until something that was not taken is due; nil when nothing is scheduled. Zero when more is due now
    /// than was asked for.
    public var nextDueIn: Duration?

    public init(due: [DueAccount], nextDueIn: Duration?) {
        self.due = due
        self.nextDueIn = nextDueIn
    }
}

/// The schedule in the store: account ids by the time at which their proactive refresh is due.
public protocol ScheduleStore: Sendable {
    /// Takes up to `limits` due accounts of each provider and moves them `hold` ahead, so that another look does not
    /// find them again unless they are neither refreshed nor put off meanwhile. Costs what is due, not what exists.
    ///
    /// A store in which each command is paid for leaves them where they are; see
    /// ``ProactiveScheduler/Configuration/scheduleKeepsTaken``.
    func takeDue(limits: [ProviderName: Int], hold: Duration) async throws(StoreError) -> DueBatch
    /// Scheduled accounts by provider.
    func scheduledCounts(_ providers: [ProviderName]) async throws(StoreError) -> [ProviderName: Int]
    /// Compares the index with the accounts and puts back what is missing; returns how many.
    func reconcile() async throws(StoreError) -> Int
}
