import RefreshCore

/// The store in memory, with the semantics of the ports to the letter: what several coordinators in one test share to
/// stand for several instances.
///
/// Faults are injected per operation, each call is counted, and changes are published to the registered audiences
/// unless publishing is dropped.
public actor ModelStore {
    /// One instance's ears.
    struct Audience {
        var hub: ChangeHub
        var cache: TokenCache
        var onChange: @Sendable (AccountChange) -> Void
    }

    let time: any TimeSource
    private var state = ModelState()
    private var leaseListeners: [@Sendable () -> Void] = []
    private var audiences: [Audience] = []
    private var isPublishing = true
    private var isDown = false
    var isConfirming = true
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
        guard var record = state.records[account] else { return }
        change(&record.snapshot)
        state.records[account] = record
    }

    /// As if a newer version had written an intent that this one cannot read.
    public func leaveForeignIntent(_ account: AccountID) { state.records[account]?.hasForeignIntent = true }

    /// While not confirming, writes are carried out, and replicas or the disk do not have them.
    public func setConfirming(_ isConfirming: Bool) { self.isConfirming = isConfirming }

    /// Everything the accounts are made of at one moment; see ``failOver(to:)``.
    public struct Copy: Sendable { var state: ModelState }

    public func copy() -> Copy { Copy(state: state) }

    /// Another server takes over, with what it had got of the data.
    public func failOver(to copy: Copy) {
        state.records = copy.state.records
        state.locks = copy.state.locks
        state.orphans = copy.state.orphans
        state.inChargeSince = time.wall()
    }

    /// The index forgets the account, as after a lost write.
    public func dropFromIndex(_ account: AccountID) {
        if let provider = state.records[account]?.snapshot.provider { state.due[provider]?[account] = nil }
    }

    // MARK: Looking

    public func callCount(_ operation: ModelOperation) -> Int { calls[operation] ?? 0 }
    public func snapshot(_ account: AccountID) -> AccountSnapshot? { state.account(account) }
    public func snapshots() -> [AccountSnapshot] { state.records.values.filter { !$0.isRemoved }.map(\.snapshot) }
    public func refreshToken(_ account: AccountID) -> Secret? { state.records[account]?.refreshToken }
    public func orphanCount(_ account: AccountID) -> Int { state.orphans[account]?.count ?? 0 }
    public func isLocked(_ account: AccountID) -> Bool { state.liveLock(account, now: time.wall()) != nil }
    public func indexedDue(_ account: AccountID) -> WallTime? { state.dueTime(account) }
    /// The earliest time in the schedule.
    public func earliestDue() -> WallTime? { state.due.values.flatMap(\.accounts.values).min() }
    /// Who holds the lease now.
    public func leader() -> InstanceID? { state.lease.flatMap { time.wall() < $0.until ? $0.holder : nil } }

    // MARK: What the ports are made of

    func perform<Reply>(
        _ operation: ModelOperation, _ body: (inout ModelState, WallTime) -> Reply
    ) throws(StoreError) -> Reply {
        calls[operation, default: 0] += 1
        if isDown { throw ModelFault.unavailable.error }
        var fault: ModelFault?
        if faults[operation]?.isEmpty == false { fault = faults[operation]?.removeFirst() }
        if let fault, fault != .replyLost { throw fault.error }
        let reply = body(&state, time.wall())
        let messages = state.outbox
        state.outbox.removeAll(keepingCapacity: true)
        if isPublishing { messages.forEach(publish) }
        if let fault { throw fault.error }
        return reply
    }

    private func publish(_ signal: FleetSignal) {
        switch signal {
        case .changed(let change):
            for audience in audiences {
                if change.outcome == .removed {
                    audience.cache.forget(change.account)
                } else {
                    audience.cache.invalidate(change)
                }
                audience.hub.signal(change.account)
                audience.onChange(change)
            }
        case .eventsAppended: break
        case .leaderReleased:
            for listener in leaseListeners { listener() }
        case .providerResumed, .connected, .disconnected, .cooldownChanged: break
        }
    }
}
