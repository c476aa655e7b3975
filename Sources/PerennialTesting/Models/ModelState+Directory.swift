import RefreshCore

// put.lua, edit.lua and remove.lua.
extension ModelState {
    /// The generation that PUT has to expect: the secrets are sealed for the one after it.
    public func storedGeneration(_ id: AccountID) -> Generation {
        records[id]?.snapshot.generation ?? Generation(0)
    }

    /// Nil where the account has moved on since `expected` was read: prepare again (`RETRY`).
    public mutating func put(_ put: AccountPut, expected: Generation, now: WallTime) -> PutReply? {
        let old = account(put.id)
        let key = TokenKey(provider: put.provider, credential: put.credentials.refreshToken)
        if !put.mayShareToken, !put.isForced, let key, let owner = tokenOwners[key], owner != put.id,
            records[owner]?.putToken == key
        {
            return .tokenInUse(by: owner)
        }
        let recent = records[put.id]?.recentAttempts ?? []
        if let attempt = put.attempt, recent.contains(attempt) { return .replaced(storedGeneration(put.id)) }
        guard storedGeneration(put.id) == expected else { return nil }
        if let required = put.ifGeneration, old?.generation != required { return .conflict(old?.generation) }
        if let old {
            if old.provider != put.provider { return .otherProvider(old.provider) }
            switch put.overwrite {
            case .always: break
            case .never: return .conflict(old.generation)
            case .ifNewer:
                guard let new = put.credentials.expiresAt else { return .kept(old.generation) }
                if let stored = old.expiresAt, stored >= new { return .kept(old.generation) }
            }
        }
        let labels = put.traits.labels.applied(to: old?.labels ?? .none)
        if case .merge = put.traits.labels, labels.isTooMany { return .tooManyLabels }
        var refusals = records[put.id]?.refusals ?? []
        if let key, let refusal = refusals.first(where: { $0.token == key }) {
            guard put.isForced else { return .refusedBefore(refusal.at) }
            refusals.removeAll { $0.token == key }
        }
        // The generation of a removed account goes on counting.
        var generation = storedGeneration(put.id).next
        if planted == .resetGeneration, records[put.id] != nil { generation = Generation(1) }
        let isEnabled = put.resumes || old?.enabled ?? true
        var snapshot = AccountSnapshot(
            id: put.id, provider: put.provider, name: put.name ?? old?.name ?? "", enabled: isEnabled,
            generation: generation, accessToken: put.credentials.accessToken, tokenType: put.credentials.tokenType,
            expiresAt: put.credentials.expiresAt, obtainedAt: put.credentials.expiresAt == nil ? nil : now,
            createdAt: old?.createdAt ?? now, updatedAt: now, dueAt: put.dueAt, pool: old?.pool, tier: old?.tier,
            labels: old?.labels ?? .none, proxy: old?.proxy, authorizedAt: now,
            grant: put.credentials.grantExpiresAt.map { GrantTerm(since: now, endsAt: $0) })
        put.traits.apply(to: &snapshot)
        if let key {
            if let before = records[put.id]?.putToken, before != key { tokenOwners[before] = nil }
            tokenOwners[key] = put.id
        }
        records[put.id] = Record(
            snapshot: snapshot, refreshToken: put.credentials.refreshToken,
            recentAttempts: put.attempt.map { attempt in
                Array(([attempt] + recent.filter { $0 != attempt }).prefix(8))
            } ?? recent, refusals: refusals, putToken: key)
        if isEnabled { due[put.provider, default: DueIndex()][put.id] = put.dueAt }
        writes += 1
        announce(put.id, generation, .added)
        return old == nil ? .created(generation) : .replaced(generation)
    }

    public mutating func edit(_ id: AccountID, _ edit: AccountEdit, now: WallTime) -> EditReply {
        guard var record = records[id], !record.isRemoved else { return .missing }
        if let required = edit.ifGeneration, required != record.snapshot.generation {
            return .conflict(record.snapshot.generation)
        }
        if case .merge = edit.traits.labels, edit.traits.labels.applied(to: record.snapshot.labels).isTooMany {
            return .tooManyLabels
        }
        record.snapshot.updatedAt = now
        edit.traits.apply(to: &record.snapshot)
        if let name = edit.name { record.snapshot.name = name }
        if let isEnabled = edit.enabled, isEnabled != record.snapshot.enabled {
            record.snapshot.enabled = isEnabled
            if !isEnabled {
                due[record.snapshot.provider]?[id] = nil
            } else if record.snapshot.status != .reauthRequired {
                due[record.snapshot.provider, default: DueIndex()][id] = record.snapshot.dueAt ?? now
            }
        }
        records[id] = record
        writes += 1
        announce(id, record.snapshot.generation, .edited)
        return .done
    }

    public mutating func remove(_ id: AccountID, ifGeneration required: Generation?, now: WallTime) -> EditReply {
        guard var record = records[id], !record.isRemoved else { return .missing }
        if let required, required != record.snapshot.generation { return .conflict(record.snapshot.generation) }
        record.isRemoved = true
        record.refreshToken = Secret("")
        record.hasForeignIntent = false
        record.snapshot.accessToken = nil
        record.snapshot.intent = nil
        record.snapshot.updatedAt = now
        if let key = record.putToken { tokenOwners[key] = nil }
        record.putToken = nil
        records[id] = record
        locks[id] = nil
        orphans[id] = nil
        due[record.snapshot.provider]?[id] = nil
        writes += 1
        announce(id, record.snapshot.generation, .removed)
        return .done
    }
}
