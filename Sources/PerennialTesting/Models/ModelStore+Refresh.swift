import RefreshCore

extension ModelStore: AccountStore {
    public func begin(_ request: BeginRequest) throws(StoreError) -> BeginReply {
        try perform(.begin) { granting(request) }
    }

    private func granting(_ request: BeginRequest) -> BeginReply {
        guard var record = records[request.account], !record.isRemoved else { return .missing }
        let now = time.wall()
        let account = record.snapshot
        if let floor = request.floor, account.generation < floor { return .rolledBack(account) }
        if case .newerThan(let seen) = request.demand, account.generation > seen { return .fresh(account) }
        if !account.enabled || account.status == .reauthRequired {
            reschedule(request, at: nil)
            return .blocked(account)
        }
        if record.hasForeignIntent { return .foreignIntent(account) }
        func grant(_ intent: RefreshIntent) -> BeginReply {
            record.lock = Lock(attempt: request.attempt, until: time.monotonic() + request.lockTTL)
            record.snapshot.intent = intent
            records[request.account] = record
            let claim = RefreshClaim(
                account: record.snapshot, attempt: request.attempt, generation: account.generation,
                refreshToken: record.refreshToken, isRecovery: intent.resends > 0)
            return isConfirming ? .granted(claim) : .undurable(claim, reason: "no replica confirmed the write")
        }
        // The reply to this very attempt was lost: the same answer again.
        if var intent = account.intent, intent.attempt == request.attempt {
            intent.at = now
            return grant(intent)
        }
        if request.demand == .whenDue, let dueAt = account.dueAt, dueAt > now {
            reschedule(request, at: dueAt)
            return .fresh(account)
        }
        if let pause = pauses[account.provider], pause.until > now {
            reschedule(request, at: pause.until)
            return .cooling(account, until: pause.until, cause: pause.cause)
        }
        if let next = account.nextAttemptAt, next > now, !request.ignoresBackoff {
            reschedule(request, at: next)
            let cause = account.lastFault ?? RefreshFault(kind: .unsent, message: "an earlier refresh failed")
            return .cooling(account, until: next, cause: cause)
        }
        if let since = inChargeSince, now < since + request.failoverHold {
            reschedule(request, at: since + request.failoverHold)
            return .quarantined(account, until: since + request.failoverHold, reason: "the store has failed over")
        }
        if let lock = liveLock(record), lock.attempt != request.attempt {
            return .held(account, remaining: lock.until - time.monotonic())
        }
        guard var intent = account.intent else {
            return grant(
                RefreshIntent(
                    attempt: request.attempt, generation: account.generation, origin: request.origin, state: .open,
                    at: now, firstAt: now, resends: 0))
        }
        guard request.recovering == intent.attempt else { return .pending(account, intent, age: now - intent.at) }
        intent.attempt = request.attempt
        intent.origin = request.origin
        intent.state = .open
        intent.at = now
        intent.resends += 1
        return grant(intent)
    }

    /// The schedule is an index: whenever BEGIN sees that an entry is wrong, it puts it right.
    private func reschedule(_ request: BeginRequest, at due: WallTime?) {
        if request.demand == .whenDue { index[request.account] = due }
    }

    public func commit(_ request: CommitRequest) throws(StoreError) -> CommitReply {
        try perform(.commit) { committing(request) }
    }

    private func committing(_ request: CommitRequest) -> CommitReply {
        guard var record = records[request.account] else { return .orphaned }
        if record.lock?.attempt == request.attempt { record.lock = nil }
        defer { records[request.account] = record }
        if !record.isRemoved, record.lastCommitted == request.attempt { return confirming(.already) }
        let stored = record.snapshot.generation
        guard !record.isRemoved, stored == request.generation else {
            if request.occasion == .again, stored >= request.generation { return .superseded }
            if !record.isRemoved, stored < request.generation, request.occasion != .last { return .behind(stored) }
            // A removed account has nothing left to hang an orphan on, but the answer is kept all the same.
            record.orphans.append(request)
            return confirming(.orphaned)
        }
        let isEnabled = record.snapshot.enabled
        record.snapshot = request.snapshot(after: record.snapshot, enabled: isEnabled)
        record.snapshot.updatedAt = time.wall()
        record.refreshToken = request.refreshToken
        record.lastCommitted = request.attempt
        records[request.account] = record
        index[request.account] = isEnabled ? request.dueAt : nil
        publish(request.account, .refreshed)
        return confirming(.committed(enabled: isEnabled))
    }

    private func confirming(_ reply: CommitReply) -> CommitReply {
        isConfirming ? reply : .unconfirmed(reply, reason: "no replica confirmed the write")
    }

    public func settle(_ request: SettleRequest) throws(StoreError) -> SettleReply {
        try perform(.settle) { settling(request) }
    }

    private func settling(_ request: SettleRequest) -> SettleReply {
        let now = time.wall()
        if let pause = request.pauseProvider {
            pauses[request.provider] = Pause(until: now + pause, cause: request.fault)
        }
        guard var record = records[request.account], !record.isRemoved else { return .missing }
        if record.lock?.attempt == request.attempt { record.lock = nil }
        records[request.account] = record
        guard record.snapshot.generation == request.generation else { return .moved(record.snapshot) }
        // Repeated after a lost reply, or overtaken by a recovery: nothing is left to settle.
        guard var intent = record.snapshot.intent, intent.attempt == request.attempt else {
            return .settled(record.snapshot)
        }
        let isBlamed = request.fault.kind != .throttled
        var due: WallTime? = now + request.retryAfter
        switch request.disposition {
        case .released:
            if intent.resends > 0 {
                // The re-send was not spent either, but the first spend is as unresolved as before.
                intent.resends -= 1
                intent.state = .ambiguous
                record.snapshot.intent = intent
            } else {
                record.snapshot.intent = nil
            }
            if isBlamed { record.snapshot.status = .degraded }
        case .refused:
            record.snapshot.intent = nil
            if record.orphans.isEmpty {
                record.snapshot.status = .reauthRequired
                due = nil
            } else {
                record.snapshot.status = .degraded
            }
        case .unresolved:
            intent.state = .ambiguous
            record.snapshot.intent = intent
            record.snapshot.status = .degraded
        }
        if isBlamed { record.snapshot.failures += 1 }
        record.snapshot.nextAttemptAt = due
        record.snapshot.dueAt = due
        record.snapshot.lastFault = request.fault
        record.snapshot.updatedAt = now
        records[request.account] = record
        index[request.account] = record.snapshot.enabled ? due : nil
        publish(request.account, record.snapshot.status == .reauthRequired ? .refused : .failed)
        return .settled(record.snapshot)
    }

    public func read(_ account: AccountID) throws(StoreError) -> AccountSnapshot? {
        try perform(.read) { snapshot(account) }
    }
}
