import RefreshCore

extension FakeFleet: OrphanStore {
    func orphans(of account: AccountID) async throws(StoreError) -> [Orphan] {
        try locked { state throws(StoreError) in state.orphans[account] ?? [] }
    }

    func orphanCounts(_ accounts: [AccountID]) async throws(StoreError) -> [AccountID: Int] {
        try locked { state throws(StoreError) in
            state.orphans.mapValues(\.count).filter { accounts.contains($0.key) && $0.value > 0 }
        }
    }

    func restore(_ attempt: AttemptID, of account: AccountID, force: Bool) async throws(StoreError) -> RestoreReply {
        try locked { state throws(StoreError) in
            guard let orphan = state.orphans[account]?.first(where: { $0.attempt == attempt }) else { return .noOrphan }
            guard var record = state.records[account] else { return .noAccount }
            if let provider = orphan.provider, provider != record.snapshot.provider {
                return .otherProvider(account: record.snapshot.provider, orphan: provider)
            }
            if let obstacle = state.obstacle, !force { return .busy(obstacle) }
            record.snapshot.generation = record.snapshot.generation.next
            record.snapshot.accessToken = Secret("at-restored")
            record.snapshot.expiresAt = time.wall() + .seconds(3600)
            record.snapshot.obtainedAt = time.wall()
            record.snapshot.status = .active
            record.snapshot.lastFault = nil
            state.records[account] = record
            state.orphans[account]?.removeAll { $0.attempt == attempt }
            return .restored(record.snapshot.generation)
        }
    }

    func drop(_ attempt: AttemptID, of account: AccountID) async throws(StoreError) -> DropReply {
        try locked { state throws(StoreError) in
            guard state.orphans[account]?.contains(where: { $0.attempt == attempt }) == true else { return .noOrphan }
            state.orphans[account]?.removeAll { $0.attempt == attempt }
            return .dropped
        }
    }
}
