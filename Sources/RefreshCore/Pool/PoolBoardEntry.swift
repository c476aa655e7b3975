/// What this instance remembers of one pool, and how far that can be relied on.
struct PoolBoardEntry: Sendable {
    var view: PoolView
    var turns: PoolTurns
    var loadedAt: MonotonicTime?
    var epoch: UInt64 = 0
    /// Accounts that have changed since, with the generations that were announced.
    var stale: [AccountID: Generation] = [:]
    /// Accounts of which an older generation was read than was announced: they are read once more, then.
    var late: [AccountID: MonotonicTime] = [:]
    /// A read that is under way.
    var reading: Task<StoreError?, Never>?
    var failure: (error: StoreError, at: MonotonicTime)?
    /// Accounts that could not be read, and were told of.
    var unreadable: Set<AccountID> = []

    /// A replica that the store was read from has caught up after this.
    static let lag = Duration.seconds(1)

    init(_ settings: PoolSettings, seed: UInt64) {
        view = PoolView(settings: settings)
        turns = PoolTurns(strategy: settings.strategy, seed: seed)
    }

    mutating func candidates(
        _ request: PoolRequest, besides busy: Set<AccountID>, now: WallTime, most: Int
    ) -> [AccountSnapshot] {
        view.candidates(request, besides: busy, turns: &turns, now: now, most: most)
    }

    mutating func change(_ body: (inout PoolView, WallTime) -> Void, _ now: WallTime) { body(&view, now) }

    /// - Returns: whether it may be about an account of this pool.
    mutating func accountChanged(_ change: AccountChange) -> Bool {
        guard loadedAt != nil || reading != nil else { return false }
        let isMember = view.members[change.account] != nil
        switch change.outcome {
        case _ where reading != nil: markStale(change.account, change.generation)
        case .removed: if isMember { view.replace(change.account, with: nil) }
        case .refreshed: break
        case .failed, .refused: if isMember { markStale(change.account, change.generation) }
        case .added, .edited: markStale(change.account, change.generation)
        }
        if change.outcome == .refreshed { view.refreshed(change.account, change.generation) }
        return isMember || change.outcome == .added || change.outcome == .edited || reading != nil
    }

    mutating func markStale(_ account: AccountID, _ generation: Generation) {
        stale[account] = max(stale[account] ?? generation, generation)
        late[account] = nil
    }

    /// Those that a replica may tell of by now.
    mutating func takeLate(_ now: MonotonicTime) {
        for (account, time) in late where time <= now {
            stale[account] = stale[account] ?? Generation(0)
            late[account] = nil
        }
    }

    /// An account was read, or is gone.
    ///
    /// - Parameter announced: what it has to be at.
    mutating func learn(_ account: AccountID, _ snapshot: AccountSnapshot?, announced: Generation, now: MonotonicTime) {
        if let snapshot, snapshot.generation < announced {
            // What is known of it is newer, unless there was none.
            if late.updateValue(now + Self.lag, forKey: account) == nil, view.members[account] != nil { return }
        }
        view.replace(account, with: snapshot)
    }

    /// A read is over.
    mutating func finish(_ failure: (error: StoreError, at: MonotonicTime)?) {
        self.failure = failure
        reading = nil
        let view = view
        turns.keep { view.members[$0] != nil }
    }
}
