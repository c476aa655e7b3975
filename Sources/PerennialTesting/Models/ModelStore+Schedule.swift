import RefreshCore

extension ModelStore: ScheduleStore {
    public func takeDue(limits: [ProviderName: Int], hold: Duration) throws(StoreError) -> DueBatch {
        try perform(.takeDue) { $0.takeDue(limits: limits, hold: hold, now: $1) }
    }

    public func scheduledCounts(_ providers: [ProviderName]) throws(StoreError) -> [ProviderName: Int] {
        try perform(.scheduledCounts) { state, _ in
            var counts: [ProviderName: Int] = [:]
            for provider in providers {
                if let own = state.due[provider], !own.isEmpty { counts[provider] = own.count }
            }
            return counts
        }
    }

    public func reconcile() throws(StoreError) -> Int {
        try perform(.reconcile) { $0.reconcile(now: $1) }
    }
}

extension ModelStore: LeaseStore {
    public func acquire(_ instance: InstanceID, ttl: Duration) throws(StoreError) -> LeaseBid {
        try perform(.acquire) { $0.acquireLease(instance, ttl: ttl, now: $1) }
    }

    public func renew(_ instance: InstanceID, epoch: Int64, ttl: Duration) throws(StoreError) -> Bool {
        try perform(.renew) { $0.renewLease(instance, epoch: epoch, ttl: ttl, now: $1) }
    }

    public func release(_ instance: InstanceID, epoch: Int64) throws(StoreError) {
        try perform(.release) { $0.releaseLease(instance, epoch: epoch, now: $1) }
    }
}
