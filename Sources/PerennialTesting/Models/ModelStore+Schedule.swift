import RefreshCore

extension ModelStore: ScheduleStore {
    public func takeDue(limits: [ProviderName: Int], hold: Duration) throws(StoreError) -> DueBatch {
        try perform(.takeDue) { taking(limits, hold: hold) }
    }

    private func taking(_ limits: [ProviderName: Int], hold: Duration) -> DueBatch {
        let now = time.wall()
        var due: [DueAccount] = []
        var nearest: WallTime?
        func expect(_ at: WallTime) { nearest = min(nearest ?? at, at) }
        for (provider, limit) in limits.sorted(by: { $0.key < $1.key }) {
            if let pause = pauses[provider], pause.until > now {
                expect(pause.until)
                continue
            }
            let own = index.filter { records[$0.key]?.snapshot.provider == provider }
            let taken = own.filter { $0.value <= now }.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.prefix(limit)
            for (account, _) in taken {
                index[account] = now + hold
                due.append(DueAccount(account: account, provider: provider))
            }
            for account in own.keys { if let at = index[account] { expect(at) } }
        }
        return DueBatch(due: due, nextDueIn: nearest.map { max($0 - now, .zero) })
    }

    public func scheduledCounts(_ providers: [ProviderName]) throws(StoreError) -> [ProviderName: Int] {
        try perform(.scheduledCounts) {
            var counts: [ProviderName: Int] = [:]
            for account in index.keys {
                guard let provider = records[account]?.snapshot.provider, providers.contains(provider) else { continue }
                counts[provider, default: 0] += 1
            }
            return counts
        }
    }

    public func reconcile() throws(StoreError) -> Int {
        try perform(.reconcile) {
            var repaired = 0
            for record in records.values where !record.isRemoved {
                let account = record.snapshot
                let belongs = account.enabled && account.status != .reauthRequired
                if belongs, index[account.id] == nil {
                    index[account.id] = account.dueAt ?? time.wall()
                    repaired += 1
                } else if !belongs {
                    index[account.id] = nil
                }
            }
            return repaired
        }
    }
}

extension ModelStore: LeaseStore {
    public func acquire(_ instance: InstanceID, ttl: Duration) throws(StoreError) -> LeaseBid {
        try perform(.acquire) {
            let now = time.monotonic()
            if let lease, now < lease.until { return .held(remaining: lease.until - now) }
            leaseEpoch += 1
            lease = Lease(holder: instance, epoch: leaseEpoch, until: now + ttl)
            return .acquired(epoch: leaseEpoch)
        }
    }

    public func renew(_ instance: InstanceID, epoch: Int64, ttl: Duration) throws(StoreError) -> Bool {
        try perform(.renew) {
            let now = time.monotonic()
            guard let held = lease, held.holder == instance, held.epoch == epoch, now < held.until else { return false }
            lease?.until = now + ttl
            return true
        }
    }

    public func release(_ instance: InstanceID, epoch: Int64) throws(StoreError) {
        try perform(.release) {
            guard lease?.holder == instance, lease?.epoch == epoch else { return }
            lease = nil
            publishLeaderReleased()
        }
    }

    /// Who holds the lease now.
    public func leader() -> InstanceID? {
        lease.flatMap { time.monotonic() < $0.until ? $0.holder : nil }
    }
}
