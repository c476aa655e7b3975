import RefreshCore

/// The store in memory, with the semantics of the ports to the letter: what several coordinators in one test share to
/// stand for several instances.
///
/// Faults are injected per operation, each call is counted, and changes are published to the registered audiences
/// unless publishing is dropped.
public actor ModelStore {
    struct Lock {
        var attempt: AttemptID
        var until: MonotonicTime
    }

    struct Record {
        var snapshot: AccountSnapshot
        var refreshToken: Secret
        var lastCommitted: AttemptID?
        var lock: Lock?
        var orphans: [CommitRequest] = []
        /// Only the generation counts then: it must never repeat.
        var isRemoved = false
        var hasForeignIntent = false
    }

    struct Pause {
        var until: WallTime
        var cause: RefreshFault
    }

    struct Lease {
        var holder: InstanceID
        var epoch: Int64
        var until: MonotonicTime
    }

    /// One instance's ears.
    struct Audience {
        var hub: ChangeHub
        var cache: TokenCache
        var onChange: @Sendable (AccountChange) -> Void
    }

    let time: any TimeSource
    var records: [AccountID: Record] = [:]
    /// The schedule, an index apart from the accounts: taking what is due moves entries here only.
    var index: [AccountID: WallTime] = [:]
    var pauses: [ProviderName: Pause] = [:]
    var lease: Lease?
    var leaseEpoch: Int64 = 0
    var leaseListeners: [@Sendable () -> Void] = []
    /// Since when this server has been in charge; nil for the first one.
    var inChargeSince: WallTime?
    var isConfirming = true

    private var audiences: [Audience] = []
    private var isPublishing = true
    private var isDown = false
    private var faults: [ModelOperation: [ModelFault]] = [:]
    private var calls: [ModelOperation: Int] = [:]

    /// - Parameter time: the server's clock, and here the instances' own as well.
    public init(time: any TimeSource) {
        self.time = time
    }

    // MARK: Arranging

    /// The next calls of `operation` fail in these ways, one each.
    public func fail(_ operation: ModelOperation, _ faults: ModelFault...) {
        self.faults[operation, default: []] += faults
    }

    /// While down, every operation is unavailable.
    public func setDown(_ isDown: Bool) { self.isDown = isDown }

    /// While not publishing, changes happen and nobody is told.
    public func setPublishing(_ isPublishing: Bool) { self.isPublishing = isPublishing }

    /// Subscribes an instance.
    public func subscribe(
        hub: ChangeHub, cache: TokenCache, onChange: @escaping @Sendable (AccountChange) -> Void = { _ in }
    ) {
        audiences.append(Audience(hub: hub, cache: cache, onChange: onChange))
        cache.subscriptionChanged(isUp: true)
    }

    public func onLeaderReleased(_ listener: @escaping @Sendable () -> Void) { leaseListeners.append(listener) }

    /// Changes an account behind everybody's back.
    public func tamper(_ account: AccountID, _ change: @Sendable (inout AccountSnapshot) -> Void) {
        guard var record = records[account] else { return }
        change(&record.snapshot)
        records[account] = record
    }

    /// As if a newer version had written an intent that this one cannot read.
    public func leaveForeignIntent(_ account: AccountID) { records[account]?.hasForeignIntent = true }

    /// While not confirming, writes are carried out, and replicas or the disk do not have them.
    public func setConfirming(_ isConfirming: Bool) { self.isConfirming = isConfirming }

    /// Everything the accounts are made of at one moment; see ``failOver(to:)``.
    public struct Copy: Sendable { var records: [AccountID: Record] }

    public func copy() -> Copy { Copy(records: records) }

    /// Another server takes over, with what it had got of the data.
    public func failOver(to copy: Copy) {
        records = copy.records
        inChargeSince = time.wall()
    }

    /// The index forgets the account, as after a lost write.
    public func dropFromIndex(_ account: AccountID) { index[account] = nil }

    // MARK: Looking

    public func callCount(_ operation: ModelOperation) -> Int { calls[operation] ?? 0 }
    public func snapshot(_ account: AccountID) -> AccountSnapshot? {
        guard let record = records[account], !record.isRemoved else { return nil }
        return record.snapshot
    }
    public func snapshots() -> [AccountSnapshot] { records.values.filter { !$0.isRemoved }.map(\.snapshot) }
    public func refreshToken(_ account: AccountID) -> Secret? { records[account]?.refreshToken }
    public func orphanCount(_ account: AccountID) -> Int { records[account]?.orphans.count ?? 0 }
    public func isLocked(_ account: AccountID) -> Bool { records[account].flatMap(liveLock) != nil }
    public func indexedDue(_ account: AccountID) -> WallTime? { index[account] }
    /// The earliest time in the schedule.
    public func earliestDue() -> WallTime? { index.values.min() }

    // MARK: What the ports are made of

    func perform<Reply>(_ operation: ModelOperation, _ body: () -> Reply) throws(StoreError) -> Reply {
        calls[operation, default: 0] += 1
        if isDown { throw ModelFault.unavailable.error }
        var fault: ModelFault?
        if faults[operation]?.isEmpty == false { fault = faults[operation]?.removeFirst() }
        if let fault, fault != .replyLost { throw fault.error }
        let reply = body()
        if let fault { throw fault.error }
        return reply
    }

    func publish(_ account: AccountID, _ outcome: AccountChange.Outcome) {
        guard isPublishing, let generation = records[account]?.snapshot.generation else { return }
        let change = AccountChange(account: account, generation: generation, outcome: outcome)
        for audience in audiences {
            if outcome == .removed {
                audience.cache.forget(account)
            } else {
                audience.cache.invalidate(change)
            }
            audience.hub.signal(account)
            audience.onChange(change)
        }
    }

    func publishLeaderReleased() {
        guard isPublishing else { return }
        for listener in leaseListeners { listener() }
    }

    func liveLock(_ record: Record) -> Lock? {
        guard let lock = record.lock, time.monotonic() < lock.until else { return nil }
        return lock
    }
}
