import RefreshCore

// take_due.lua, the reconciliation of the schedule, and lease_*.lua.
extension ModelState {
    public mutating func takeDue(limits: [ProviderName: Int], hold: Duration, now: WallTime) -> DueBatch {
        var taken: [DueAccount] = []
        var nearest: WallTime?
        func expect(_ at: WallTime) { nearest = min(nearest ?? at, at) }
        for (provider, limit) in limits.sorted(by: { $0.key < $1.key }) {
            if let pause = livePause(provider, now: now) {
                expect(pause.until)
                continue
            }
            guard var own = due[provider] else { continue }
            due[provider] = nil
            var count = 0
            // After a pause of the circuit breaker one goes first.
            let limit = breakers[provider].map { $0.trips > 0 } ?? false ? min(limit, 1) : limit
            while count < limit, let (account, at) = own.first(), at <= now {
                own[account] = now + hold
                taken.append(DueAccount(account: account, provider: provider))
                count += 1
                writes += 1
            }
            if let first = own.first() { expect(first.at) }
            due[provider] = own
        }
        return DueBatch(due: taken, nextDueIn: nearest.map { max($0 - now, .zero) })
    }

    /// Adds what is missing and touches nothing that is there: BEGIN puts right what is wrong.
    public mutating func reconcile(now: WallTime) -> Int {
        var repaired = 0
        for record in records.values where !record.isRemoved {
            let account = record.snapshot
            guard account.enabled, account.status != .reauthRequired, due[account.provider]?[account.id] == nil else {
                continue
            }
            due[account.provider, default: DueIndex()][account.id] = account.dueAt ?? now
            repaired += 1
            writes += 1
        }
        return repaired
    }

    public mutating func acquireLease(_ instance: InstanceID, ttl: Duration, now: WallTime) -> LeaseBid {
        // One's own is left over from before a restart.
        if let lease, now < lease.until, lease.holder != instance {
            return .held(remaining: lease.until - now)
        }
        leaseEpoch += 1
        lease = Lease(holder: instance, epoch: leaseEpoch, until: now + ttl)
        writes += 1
        return .acquired(epoch: leaseEpoch)
    }

    public mutating func renewLease(_ instance: InstanceID, epoch: Int64, ttl: Duration, now: WallTime) -> Bool {
        guard let held = lease, held.holder == instance, held.epoch == epoch, now < held.until else { return false }
        lease?.until = now + ttl
        writes += 1
        return true
    }

    public mutating func releaseLease(_ instance: InstanceID, epoch: Int64, now: WallTime) {
        guard let held = lease, held.holder == instance, held.epoch == epoch, now < held.until else { return }
        lease = nil
        writes += 1
        outbox.append(.leaderReleased)
    }
}
