import Logging
import NIOConcurrencyHelpers

/// Keeps what is remembered of the pools in step with the store.
extension PoolBoard {
    /// More accounts than these are not read one by one.
    private static let mostSingleReads = 100
    /// After a read that has failed.
    private static let pause = Duration.seconds(1)
    /// Each round waits for a read that somebody else may have begun too early.
    private static let mostRounds = 8

    private enum Readiness {
        case ready
        case reading(Task<StoreError?, Never>)
        case away(StoreError)
    }

    /// Returns once what is known of the pool can be relied on, at once where it can.
    ///
    /// - Throws: ``StoreError`` while the store is away and nothing is known. What is known goes on to be used (I5).
    func ready(_ pool: PoolName) async throws(StoreError) {
        for _ in 0..<Self.mostRounds {
            switch state.withLockedValue({ readiness(of: pool, &$0) }) {
            case .ready: return
            case .away(let error): throw error
            case .reading(let reading):
                guard let error = await reading.value else { continue }
                guard state.withLockedValue({ $0.entries[pool]?.loadedAt != nil }) else { throw error }
                return
            }
        }
    }

    /// Whether the account is in the pool: one that is not known here is read once, since what makes it a member may have
    /// reached its reporter first.
    func isMember(_ account: AccountID, of pool: PoolName) async -> Bool {
        for round in 0..<2 {
            let isKnown = state.withLockedValue { state in
                guard let entry = state.entries[pool] else { return false }
                if entry.view.members[account] != nil { return true }
                if round == 0 { state.entries[pool]?.markStale(account, Generation(0)) }
                return false
            }
            if isKnown { return true }
            if round == 0 { try? await ready(pool) }
        }
        return false
    }

    private func readiness(of pool: PoolName, _ state: inout State) -> Readiness {
        let now = time.monotonic()
        state.entries[pool]?.takeLate(now)
        guard let entry = state.entries[pool] else { return .ready }
        let isTrusted = state.isTrusted(entry, now)
        if isTrusted, entry.stale.isEmpty { return .ready }
        if let reading = entry.reading { return .reading(reading) }
        if let (error, at) = entry.failure, now - at < Self.pause {
            return entry.loadedAt == nil ? .away(error) : .ready
        }
        let (stale, epoch) = (entry.stale, state.epoch)
        let isSingle = isTrusted && stale.count <= Self.mostSingleReads
        // Whoever asked first may go away; the others still want to know.
        let reading = Task { await self.read(pool, stale, isSingle: isSingle, epoch: epoch) }
        state.entries[pool]?.stale = [:]
        state.entries[pool]?.reading = reading
        return .reading(reading)
    }

    /// - Parameters:
    ///   - stale: the accounts that have changed, with the generations that were announced.
    ///   - isSingle: read these alone, and not the whole pool.
    private func read(
        _ pool: PoolName, _ stale: [AccountID: Generation], isSingle: Bool, epoch: UInt64
    ) async -> StoreError? {
        // Before it is asked: what is as old as the question is not trusted for longer.
        let began = time.monotonic()
        do throws(StoreError) {
            if isSingle {
                var found: [AccountID: AccountSnapshot?] = [:]
                for account in stale.keys.sorted() {
                    found.updateValue(try await read(account, of: pool), forKey: account)
                }
                state.withLockedValue { [found] state in
                    for (account, snapshot) in found {
                        let announced = stale[account] ?? Generation(0)
                        state.entries[pool]?.learn(account, snapshot, announced: announced, now: time.monotonic())
                    }
                    state.entries[pool]?.finish(nil)
                }
            } else {
                let mark = cache.mark()
                let members = try await pools.members(of: pool)
                let cooldowns = try await cooldowns.cooldowns(of: pool)
                let now = (wall: time.wall(), monotonic: time.monotonic())
                for member in members where member.generation >= stale[member.id] ?? Generation(0) {
                    cache.remember(member, since: mark, now: began)
                }
                state.withLockedValue { state in
                    state.entries[pool]?.view.replace(members, cooldowns, now: now.wall)
                    state.entries[pool]?.loadedAt = began
                    state.entries[pool]?.epoch = epoch
                    for member in members {
                        guard let announced = stale[member.id], member.generation < announced else { continue }
                        state.entries[pool]?.late[member.id] = now.monotonic + PoolBoardEntry.lag
                    }
                    state.entries[pool]?.finish(nil)
                }
            }
            return nil
        } catch {
            let now = time.monotonic()
            state.withLockedValue { state in
                for (account, generation) in stale { state.entries[pool]?.markStale(account, generation) }
                state.entries[pool]?.finish((error, now))
            }
            return error
        }
    }

    /// From memory where that may be trusted, so that the token that follows costs no second read. One that cannot be read
    /// is left out, and does not keep the others from being picked.
    private func read(_ account: AccountID, of pool: PoolName) async throws(StoreError) -> AccountSnapshot? {
        if let known = cache.trusted(account, now: time.monotonic()) { return known }
        let ticket = cache.ticket(for: account)
        do throws(StoreError) {
            let snapshot = try await accounts.read(account)
            if let snapshot { cache.remember(snapshot, since: ticket, now: time.monotonic()) }
            state.withLockedValue { _ = $0.entries[pool]?.unreadable.remove(account) }
            return snapshot
        } catch {
            guard error.isOfOneRecord else { throw error }
            let isNews = state.withLockedValue { $0.entries[pool]?.unreadable.insert(account).inserted } ?? false
            if isNews {
                logger.warning(
                    "pool: an account cannot be read, and is not picked",
                    metadata: ["pool": "\(pool)", "account": "\(account)", "reason": "\(error.message)"])
            }
            return nil
        }
    }
}
