import RefreshCore

// begin.lua, commit.lua, orphan.lua and settle.lua.
extension ModelState {
    public mutating func begin(_ request: BeginRequest, now: WallTime) -> BeginReply {
        let id = request.account
        guard var record = records[id], !record.isRemoved else { return .missing }
        let account = record.snapshot
        // The caller has seen newer tokens: this store has lost writes.
        if let floor = request.floor, account.generation < floor { return .rolledBack(account) }
        if case .newerThan(let seen) = request.demand, account.generation > seen { return .fresh(account) }
        if !account.enabled || account.status == .reauthRequired {
            reschedule(request, account, at: nil)
            return .blocked(account)
        }
        if record.hasForeignIntent { return .foreignIntent(account) }
        setRightIntent(of: id, now: now)
        record = records[id] ?? record
        let isClockBack = Self.isAhead(record.snapshot.updatedAt, now)
        // The reply to this very attempt was lost: the same answer again, written again for the durability wait.
        if var intent = intent(of: record), intent.attempt == request.attempt {
            if planted == .dropTouchWrite {
                return .granted(RefreshClaim(record, intent, request.attempt, followsFailures: true))
            }
            intent.at = now
            return grant(intent, request, true, now: now)
        }
        if request.demand == .whenDue, let dueAt = account.dueAt, dueAt > now, !isClockBack {
            reschedule(request, account, at: dueAt)
            return .fresh(account)
        }
        if let pause = livePause(account.provider, now: now) {
            reschedule(request, account, at: pause.until)
            return .paused(account, until: pause.until, cause: pause.cause)
        }
        if let next = account.nextAttemptAt, next > now, !request.ignoresBackoff, !isClockBack {
            reschedule(request, account, at: next)
            let cause = account.lastFault ?? RefreshFault(kind: .unsent, message: "an earlier refresh failed")
            return .cooling(account, until: next, cause: cause)
        }
        if let since = watchedSince(request, now: now), now < since + request.failoverHold {
            reschedule(request, account, at: since + request.failoverHold)
            return .quarantined(
                account, until: since + request.failoverHold,
                reason: "the store has failed over and may have lost claims")
        }
        if let lock = liveLock(id, now: now), lock.attempt != request.attempt,
            !Self.isAhead(lock.until - request.lockTTL, now)
        {
            return .held(account, remaining: lock.until - now)
        }
        let standing = planted == .dropIntentCheck ? nil : intent(of: record)
        if let standing, request.recovering != standing.attempt {
            return .pending(account, standing, age: max(now - standing.at, .zero))
        }
        if let (until, isPromised) = takeSlot(request, account, isRecovery: standing != nil, now: now) {
            reschedule(request, account, at: until)
            return .limited(account, until: until, isPromised: isPromised)
        }
        let breaker = breakers[account.provider] ?? Breaker()
        if breaker.trips > 0 { goFirst(account.provider, request.attempt, ttl: request.lockTTL, now: now) }
        let followsFailures = breaker.failures > 0
        if var intent = standing {
            intent.attempt = request.attempt
            intent.origin = request.origin
            intent.state = .open
            intent.at = now
            intent.resends += 1
            return grant(intent, request, followsFailures, now: now)
        }
        return grant(
            RefreshIntent(
                attempt: request.attempt, generation: account.generation, origin: request.origin, state: .open,
                at: now, firstAt: now, resends: 0), request, followsFailures, now: now)
    }

    /// The clock has been set back since: the age of the intent counts from now on, and its grace as over.
    private mutating func setRightIntent(of id: AccountID, now: WallTime) {
        guard let record = records[id], var intent = intent(of: record), Self.isAhead(intent.at, now) else { return }
        intent.at = now
        intent.firstAt = WallTime(milliseconds: 0)
        records[id]?.snapshot.intent = intent
        writes += 1
    }

    private mutating func grant(
        _ intent: RefreshIntent, _ request: BeginRequest, _ followsFailures: Bool, now: WallTime
    ) -> BeginReply {
        guard var record = records[request.account] else { return .missing }
        locks[request.account] = Lock(attempt: request.attempt, until: now + request.lockTTL)
        record.snapshot.intent = intent
        records[request.account] = record
        writes += 1
        return .granted(RefreshClaim(record, intent, request.attempt, followsFailures: followsFailures))
    }

    /// `watch_server` of prelude.lua: a time ahead, after the clock was set back, is not left standing.
    private mutating func watchedSince(_ request: BeginRequest, now: WallTime) -> WallTime? {
        guard request.failoverHold > .zero, let since = inChargeSince else { return nil }
        if since > now { inChargeSince = now }
        return min(since, now)
    }

    /// The schedule is an index: whenever BEGIN sees that an entry is wrong, it puts it right.
    private mutating func reschedule(_ request: BeginRequest, _ account: AccountSnapshot, at time: WallTime?) {
        guard request.demand == .whenDue, account.provider == request.provider else { return }
        due[request.provider, default: DueIndex()][request.account] = time
        writes += 1
    }

    /// The script alone: an answer that came too late is handed to ``keepOrphan(_:now:)`` in a second call.
    public mutating func commit(_ request: CommitRequest, now: WallTime) -> CommitReply {
        let id = request.account
        let ownsLock = liveLock(id, now: now)?.attempt == request.attempt
        freeLock(id, attempt: request.attempt, now: now)
        guard var record = records[id] else {
            return request.occasion == .again && request.generation <= Generation(0) ? .superseded : .orphaned
        }
        if record.recentAttempts.contains(request.attempt) {
            // Written once more, so that a durability wait that follows covers it.
            if planted != .dropTouchWrite { writes += 1 }
            return .already
        }
        let stored = record.snapshot.generation
        guard !record.isRemoved, stored == request.generation else {
            if request.occasion == .again, stored >= request.generation { return .superseded }
            if !record.isRemoved, stored < request.generation, request.occasion != .last { return .behind(stored) }
            return .orphaned
        }
        if planted == .commitByLockOwnership, !ownsLock { return .orphaned }
        let isEnabled = record.snapshot.enabled
        record.snapshot = request.snapshot(after: record.snapshot, enabled: isEnabled)
        record.snapshot.updatedAt = now
        record.refreshToken = request.refreshToken
        record.recentAttempts = Array(([request.attempt] + record.recentAttempts).prefix(8))
        record.hasForeignIntent = false
        records[id] = record
        if isEnabled, record.snapshot.provider == request.provider {
            due[request.provider, default: DueIndex()][id] = request.dueAt
        }
        writes += 1
        announce(id, record.snapshot.generation, .refreshed)
        if request.clearsFailures, noteAnswer(request.provider) { outbox.append(.providerResumed) }
        return .committed(enabled: isEnabled)
    }

    /// One entry per attempt.
    public mutating func keepOrphan(_ request: CommitRequest) {
        guard orphans[request.account]?.contains(where: { $0.attempt == request.attempt }) != true else { return }
        orphans[request.account, default: []].append(request)
        writes += 1
    }

    public mutating func settle(_ request: SettleRequest, now: WallTime) -> SettleReply {
        let id = request.account
        freeLock(id, attempt: request.attempt, now: now)
        if let pause = request.pauseProvider {
            self.pause(request.provider, for: pause, cause: request.fault, now: now)
        }
        note(request, now: now)
        guard var record = records[id], !record.isRemoved else { return .missing }
        if let token = request.refusedToken, let key = TokenKey(provider: request.provider, credential: token) {
            record.refusals = Array(
                ([Refusal(token: key, at: now)] + record.refusals.filter { $0.token != key }).prefix(4))
            records[id] = record
            writes += 1
        }
        let forgetsToLookAgain = planted == .forgetReread && request.disposition == .refused
        if record.snapshot.generation != request.generation, !forgetsToLookAgain { return .moved(record.snapshot) }
        // Repeated after a lost reply, or overtaken by a recovery: nothing is left to settle.
        var intent: RefreshIntent?
        if !record.hasForeignIntent { intent = self.intent(of: record) }
        if intent?.attempt != request.attempt, !forgetsToLookAgain { return .settled(record.snapshot) }

        let isBlamed = request.fault.kind != .throttled
        var dueAt: WallTime? = now + request.retryAfter
        var remaining: RefreshIntent?
        switch request.disposition {
        case .released, .limited:
            if var intent, intent.resends > 0 {
                // The re-send was not spent either, but the first spend is as unresolved as before.
                intent.resends -= 1
                intent.state = .ambiguous
                intent.attempt = AttemptID(rawValue: "\(request.attempt):released")
                remaining = intent
            }
            if isBlamed, request.disposition == .released { record.snapshot.status = .degraded }
        case .refused:
            if orphans[id]?.isEmpty ?? true || forgetsToLookAgain {
                record.snapshot.status = .reauthRequired
                dueAt = nil
            } else {
                record.snapshot.status = .degraded
                // The mark stands as that of a re-send, so that the refused token is not sent as if it never had been.
                if var intent {
                    intent.state = .refused
                    intent.resends = max(intent.resends, 1)
                    remaining = intent
                }
            }
        case .unresolved:
            // What was refused stays refused, however often the account is put off.
            if intent?.state != .refused { intent?.state = .ambiguous }
            remaining = intent
            record.snapshot.status = .degraded
        }
        if request.disposition == .limited {
            // Nobody has failed: the fleet itself keeps to the provider's limit.
            record.snapshot.intent = remaining
            record.snapshot.nextAttemptAt = dueAt
            record.snapshot.dueAt = dueAt
            record.snapshot.updatedAt = now
            records[id] = record
            if record.snapshot.provider == request.provider, record.snapshot.enabled {
                due[request.provider, default: DueIndex()][id] = dueAt
            }
            writes += 1
            return .settled(record.snapshot)
        }
        if isBlamed { record.snapshot.failures += 1 }
        record.snapshot.intent = remaining
        record.snapshot.nextAttemptAt = dueAt
        record.snapshot.dueAt = dueAt
        record.snapshot.lastFault = request.fault
        record.snapshot.updatedAt = now
        records[id] = record
        if record.snapshot.provider == request.provider {
            due[request.provider, default: DueIndex()][id] = record.snapshot.enabled ? dueAt : nil
        }
        writes += 1
        announce(
            id, record.snapshot.generation, record.snapshot.status == .reauthRequired ? .refused : .failed)
        return .settled(record.snapshot)
    }
}

extension RefreshClaim {
    fileprivate init(
        _ record: ModelState.Record, _ intent: RefreshIntent, _ attempt: AttemptID, followsFailures: Bool
    ) {
        self.init(
            account: record.snapshot, attempt: attempt, generation: record.snapshot.generation,
            refreshToken: record.refreshToken, isRecovery: intent.resends > 0, followsFailures: followsFailures)
    }
}
