import NIOConcurrencyHelpers

/// Which account a request is given, and what holds it.
extension PoolDesk {
    /// The account whose turn it is, with what it is held by; nil where there is none.
    func choose(
        _ search: inout Search, _ settings: PoolSettings
    ) async -> (AccountSnapshot, PoolLease?)? {
        while true {
            let most = settings.maxConcurrent == nil ? 1 : 16
            let candidates = board.candidates(search.request, besides: search.busy, most: most)
            guard !candidates.isEmpty else { return await probe(&search, settings) }
            guard let limit = settings.maxConcurrent else { return (candidates[0], nil) }
            search.rounds += 1
            guard search.rounds <= Self.mostRounds, !Task.isCancelled else { return nil }
            switch await slot(of: candidates, in: settings, limit) {
            case .taken(let account, let lease): return (account, lease)
            case .uncounted: return (candidates[0], nil)
            case .busy:
                let accounts = candidates.map(\.id)
                search.busy.formUnion(accounts)
                search.isFull = true
                board.change(settings.name) { view, now in view.noteFull(accounts, now: now) }
            }
        }
    }

    private enum Slot {
        case taken(AccountSnapshot, PoolLease)
        /// The store cannot count: a valid token is served all the same (I5).
        case uncounted
        case busy
    }

    private func slot(of candidates: [AccountSnapshot], in settings: PoolSettings, _ limit: Int) async -> Slot {
        let attempt = newAttempt()
        do {
            let taken = try await take(attempt, of: candidates.map(\.id), in: settings, limit)
            guard let taken, let account = candidates.first(where: { $0.id == taken }) else { return .busy }
            return .taken(
                account,
                PoolLease(pool: settings.name, account: taken, attempt: attempt, holdsSlot: true, isProbe: false))
        } catch {
            tell(outage: error, "concurrent calls are not counted")
            return .uncounted
        }
    }

    /// Whoever asks may go away meanwhile: the command is sent all the same, and what it takes is known. Where the reply is
    /// lost, what it may have taken is given back.
    private func take(
        _ attempt: AttemptID, of accounts: [AccountID], in settings: PoolSettings, _ limit: Int
    ) async throws(StoreError) -> AccountID? {
        let (pool, slots, ttl) = (settings.name, slots, settings.leaseTTL)
        let result = await Task { () async -> Result<AccountID?, StoreError> in
            do throws(StoreError) {
                return .success(try await slots.take(attempt, of: accounts, in: pool, most: limit, ttl: ttl))
            } catch {
                return .failure(error)
            }
        }.value
        if case .failure(let error) = result, error.code == .outcomeUnknown {
            Task { for account in accounts { try? await slots.free(attempt, of: account, in: pool) } }
        }
        return try result.get()
    }

    /// The one try of an account that is cooling down for a length that was guessed, where no other is left.
    private func probe(
        _ search: inout Search, _ settings: PoolSettings
    ) async -> (AccountSnapshot, PoolLease?)? {
        let request = search.request
        while search.rounds < Self.mostRounds, !Task.isCancelled {
            let found = board.look(request.pool) { [busy = search.busy] view, now in
                view.probeCandidate(request, besides: busy, now: now).flatMap { cooldown in
                    view.members[cooldown.key.account].map { (cooldown.key, $0.account) }
                }
            }
            guard case (let key, let snapshot)?? = found else { return nil }
            search.rounds += 1
            search.busy.insert(key.account)
            // It is granted once: a second one of this process would ask in vain.
            guard probing.withLockedValue({ $0.insert(key).inserted }) else { continue }
            defer { probing.withLockedValue { _ = $0.remove(key) } }
            var lease = PoolLease(
                pool: request.pool, account: key.account, attempt: newAttempt(), holdsSlot: false, isProbe: true)
            do {
                if let limit = settings.maxConcurrent {
                    lease.holdsSlot = try await take(lease.attempt, of: [key.account], in: settings, limit) != nil
                    if !lease.holdsSlot { search.isFull = true }
                }
                if settings.maxConcurrent == nil || lease.holdsSlot, try await probe(key, lease) {
                    return (snapshot, lease)
                }
            } catch {
                if lease.holdsSlot { await release(lease) }
                tell(outage: error, "no account is tried before its time")
                return nil
            }
            // Another instance was faster, which is announced.
            if lease.holdsSlot { await release(lease) }
            board.change(request.pool) { view, now in view.noteTried(key.account, now: now) }
        }
        return nil
    }

    private func probe(_ key: CooldownKey, _ lease: PoolLease) async throws(StoreError) -> Bool {
        let (pool, cooldowns, board) = (lease.pool, cooldowns, board)
        return try await Task { () async -> Result<Bool, StoreError> in
            do throws(StoreError) {
                guard let granted = try await cooldowns.probe(key, of: pool, attempt: lease.attempt) else {
                    return .success(false)
                }
                board.cooldownChanged(Versioned(.set(granted.value), version: granted.version), in: pool)
                return .success(true)
            } catch {
                return .failure(error)
            }
        }.value.get()
    }
}
