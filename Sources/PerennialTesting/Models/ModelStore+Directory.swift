import RefreshCore

extension ModelStore: AccountDirectory {
    public func put(_ account: AccountPut) throws(StoreError) -> PutReply {
        try perform(.put) { putting(account) }
    }

    private func putting(_ account: AccountPut) -> PutReply {
        let now = time.wall()
        let old = records[account.id].flatMap { $0.isRemoved ? nil : $0 }
        if let required = account.ifGeneration, old?.snapshot.generation != required {
            return .conflict(old?.snapshot.generation)
        }
        if let old {
            let stored = old.snapshot
            if stored.provider != account.provider { return .otherProvider(stored.provider) }
            switch account.overwrite {
            case .always: break
            case .never: return .conflict(stored.generation)
            case .ifNewer:
                guard let new = account.credentials.expiresAt else { return .kept(stored.generation) }
                if let end = stored.expiresAt, end >= new { return .kept(stored.generation) }
            }
        }
        // The generation of a removed account goes on counting.
        let generation = (records[account.id]?.snapshot.generation ?? Generation(0)).next
        let isEnabled = old?.snapshot.enabled ?? true
        let snapshot = AccountSnapshot(
            id: account.id, provider: account.provider, name: account.name ?? old?.snapshot.name ?? "",
            enabled: isEnabled, generation: generation, accessToken: account.credentials.accessToken,
            tokenType: account.credentials.tokenType, expiresAt: account.credentials.expiresAt,
            obtainedAt: account.credentials.expiresAt == nil ? nil : now, createdAt: old?.snapshot.createdAt ?? now,
            updatedAt: now, dueAt: account.dueAt)
        records[account.id] = Record(
            snapshot: snapshot, refreshToken: account.credentials.refreshToken, lock: old?.lock,
            orphans: old?.orphans ?? [])
        index[account.id] = isEnabled ? account.dueAt : nil
        publish(account.id, .added)
        return old == nil ? .created(generation) : .replaced(generation)
    }

    public func edit(_ account: AccountID, _ edit: AccountEdit) throws(StoreError) -> EditReply {
        try perform(.edit) { editing(account, edit) }
    }

    private func editing(_ account: AccountID, _ edit: AccountEdit) -> EditReply {
        guard var record = records[account], !record.isRemoved else { return .missing }
        if let required = edit.ifGeneration, required != record.snapshot.generation {
            return .conflict(record.snapshot.generation)
        }
        if let name = edit.name { record.snapshot.name = name }
        if let isEnabled = edit.enabled, isEnabled != record.snapshot.enabled {
            record.snapshot.enabled = isEnabled
            if !isEnabled {
                index[account] = nil
            } else if record.snapshot.status != .reauthRequired {
                index[account] = record.snapshot.dueAt ?? time.wall()
            }
        }
        record.snapshot.updatedAt = time.wall()
        records[account] = record
        publish(account, .edited)
        return .done
    }

    public func remove(_ account: AccountID, ifGeneration: Generation?) throws(StoreError) -> EditReply {
        try perform(.remove) { removing(account, ifGeneration) }
    }

    private func removing(_ account: AccountID, _ required: Generation?) -> EditReply {
        guard var record = records[account], !record.isRemoved else { return .missing }
        if let required, required != record.snapshot.generation { return .conflict(record.snapshot.generation) }
        record.isRemoved = true
        record.refreshToken = Secret("")
        record.snapshot.accessToken = nil
        record.snapshot.intent = nil
        record.lock = nil
        record.orphans = []
        records[account] = record
        index[account] = nil
        publish(account, .removed)
        return .done
    }

    public func list(after: AccountID?, limit: Int) throws(StoreError) -> AccountPage {
        try perform(.list) {
            let all = snapshots().sorted { $0.id < $1.id }.filter { account in after.map { account.id > $0 } ?? true }
            let page = Array(all.prefix(max(1, limit)))
            return AccountPage(accounts: page, next: page.count < all.count ? page.last?.id : nil)
        }
    }

    public func count() throws(StoreError) -> Int {
        try perform(.count) { records.values.count { !$0.isRemoved } }
    }
}
