import Logging
import NIOConcurrencyHelpers

/// What becomes of calls that were made with picked accounts.
extension PoolDesk {
    public func report(_ report: PoolReport) async throws(PoolFailure) {
        let settings = try settings(of: report.pool)
        do throws(StoreError) {
            try await board.ready(report.pool)
        } catch {
            throw PoolFailure(.storeUnavailable, error.message, retryAfter: .seconds(1))
        }
        guard await board.isMember(report.account, of: report.pool) else {
            throw PoolFailure(.notInPool, "account \(report.account) is not in pool \(report.pool)")
        }
        metrics.reported(report)
        switch report.outcome {
        case .failed: break
        case .ok: await worked(report)
        case .quota, .throttled:
            var order = CooldownOrder(
                pool: report.pool, key: CooldownKey(account: report.account, dimension: report.dimension),
                until: report.until, first: settings.cooldowns.first(report.outcome),
                longest: settings.cooldowns.longest, limit: settings.cooldowns.limit,
                cause: report.cause.isEmpty ? report.outcome.rawValue : report.cause)
            order.mayShorten = report.outcome == .quota
            await cool(order)
        case .tokenRefused: try await replace(report)
        }
    }

    public func isNews(_ report: PoolReport) -> Bool {
        switch report.outcome {
        case .ok: !clearable(report).isEmpty
        case .quota, .throttled, .tokenRefused: true
        case .failed: false
        }
    }

    /// The cool-downs that the success ends, or forgets, and of which nobody is telling the store already.
    private func clearable(_ success: PoolReport) -> [CooldownKey] {
        let keys = board.look(success.pool) { view, now in
            view.clearable(success.account, dimension: success.dimension, probe: success.probe, now: now)
        }
        guard let keys, !keys.isEmpty else { return [] }
        return clearing.withLockedValue { clearing in keys.filter { !clearing.contains($0) } }
    }

    private func worked(_ report: PoolReport) async {
        let (found, probe) = (clearable(report), report.probe)
        let keys = clearing.withLockedValue { clearing in found.filter { clearing.insert($0).inserted } }
        guard !keys.isEmpty else { return }
        await Task {
            defer { clearing.withLockedValue { $0.subtract(keys) } }
            do throws(StoreError) {
                let ended = try await cooldowns.worked(keys, of: report.pool, attempt: probe)
                hear(ended, in: report.pool)
            } catch {
                tell(outage: error, "a success is not noted")
            }
        }.value
    }

    /// What the store says has ended.
    func hear(_ ended: Versioned<[CooldownKey]>, in pool: PoolName) {
        for key in ended.value { board.cooldownChanged(Versioned(.ended(key), version: ended.version), in: pool) }
    }

    /// Out of this instance's picks before anything is asked of the store, and of the others' when this returns. Of many who
    /// say the same one tells the store. Whoever goes away meanwhile keeps the others from nothing.
    func cool(_ order: CooldownOrder) async {
        var order = order
        order.accountSince =
            board.look(order.pool) { view, _ in view.members[order.key.account]?.account.createdAt } ?? nil
        let start = board.begin(order) { [order] id in
            guard await self.send(order, id) == false else { return }
            self.errand.begin(
                time: self.time, isLeft: { !self.board.unsent().isEmpty }, tell: { await self.sendLeft() })
        }
        switch start {
        case .joined(let sending), .begun(let sending): await sending.value
        case .known, nil: break
        }
    }

    /// - Returns: whether the store has taken it, or nobody wants it any more.
    private func send(_ order: CooldownOrder, _ id: UInt64) async -> Bool {
        do throws(StoreError) {
            let cooldown = try await cooldowns.cool(order)
            board.confirmed(id, cooldown, in: order.pool)
            logger.info(
                "pool: an account is cooling down",
                metadata: [
                    "pool": "\(order.pool)", "account": "\(order.key.account)", "cause": "\(cooldown.value.cause)",
                    "seconds": "\((cooldown.value.until - time.wall()).wholeMilliseconds / 1000)",
                ])
            return true
        } catch {
            guard board.failed(id, order) else { return true }
            tell(outage: error, "a cool-down holds for this instance only, until the store can be told")
            return false
        }
    }

    private func sendLeft() async -> Bool {
        var isDone = true
        for (id, order) in board.unsent() where board.isWaiting(id, order) {
            isDone = await send(order, id) && isDone
        }
        return isDone
    }

    /// One refresh for the generation, whoever else reports it; where that brings nothing the account is put off.
    private func replace(_ report: PoolReport) async throws(PoolFailure) {
        guard let generation = report.generation else { return }
        try await check(generation, report)
        // It is not the token's age: others are served with it.
        guard reader.canReplace(report.account, refused: generation) else { return }
        board.change(report.pool) { view, _ in view.refuse(report.account, generation) }
        do throws(RefreshFailure) {
            let answer = try await read(
                TokenRequest(account: report.account, refused: generation),
                until: time.monotonic() + Self.longestSearch)
            board.change(report.pool) { view, _ in view.learn(answer.snapshot) }
        } catch {
            guard !Task.isCancelled else { return }
            // It has become known only now that it is not the token's age.
            guard reader.canReplace(report.account, refused: generation) else {
                return board.change(report.pool) { view, _ in view.trust(report.account, generation) }
            }
            rest(report.account, error, in: report.pool)
        }
    }

    /// A generation that there has never been is not refused: each later token would be taken for it.
    private func check(_ generation: Generation, _ report: PoolReport) async throws(PoolFailure) {
        func known() -> Generation? {
            board.look(report.pool) { view, _ in view.members[report.account]?.account.generation } ?? nil
        }
        if let known = known(), generation <= known { return }
        // It may have been refreshed a moment ago, which has not been heard of yet.
        let deck = reader.deck
        let snapshot: AccountSnapshot?
        do throws(StoreError) {
            let ticket = deck.cache.ticket(for: report.account)
            snapshot = try await deck.store.read(report.account)
            // What follows begins at the generation that was reported.
            if let snapshot { deck.cache.remember(snapshot, since: ticket, now: time.monotonic()) }
        } catch {
            throw PoolFailure(.storeUnavailable, error.message, retryAfter: .seconds(1))
        }
        if let snapshot { board.change(report.pool) { view, _ in view.learn(snapshot) } }
        let newest = [known(), snapshot?.generation].compactMap { $0 }.max()
        guard let newest, generation > newest else { return }
        throw PoolFailure(
            .generationConflict,
            "generation \(generation) of account \(report.account) was refused, but it is at generation \(newest)")
    }

    public func release(_ lease: PoolLease) async {
        guard lease.holdsSlot else { return }
        board.change(lease.pool) { view, _ in view.noteFree(lease.account) }
        await Task {
            do throws(StoreError) {
                try await slots.free(lease.attempt, of: lease.account, in: lease.pool)
            } catch {
                tell(outage: error, "a lease is not released, and ends with its time")
            }
        }.value
    }
}

extension RefreshFailure {
    /// Whose fault it is, as far as a pool is concerned.
    enum PoolFault: Sendable, Hashable { case account, provider, instance }

    var poolFault: PoolFault {
        switch code {
        case .storeUnavailable, .journalUnavailable, .shuttingDown: .instance
        case .providerThrottled, .providerMisconfigured: .provider
        // Held back: its circuit is open.
        case .providerUnavailable: isHeldBack ? .provider : .account
        case .accountNotFound, .reauthRequired, .disabled, .unknownProvider, .coolingDown, .outcomeUnknown, .timedOut:
            .account
        }
    }
}
