import RefreshCore
import Testing

@Suite("What an instance remembers of accounts")
struct TokenCacheTests {
    private let start = MonotonicTime(nanoseconds: 0)

    private func snapshot(_ generation: Int64, _ name: String = "alice") throws -> AccountSnapshot {
        let now = WallTime(milliseconds: 0)
        return AccountSnapshot(
            id: try AccountID(name), provider: acme, generation: Generation(generation), createdAt: now, updatedAt: now)
    }

    private func change(_ generation: Int64, _ outcome: AccountChange.Outcome = .refreshed) throws -> AccountChange {
        AccountChange(account: try AccountID("alice"), generation: Generation(generation), outcome: outcome)
    }

    private func remember(_ snapshot: AccountSnapshot, in cache: TokenCache, at now: MonotonicTime) {
        cache.remember(snapshot, since: cache.ticket(for: snapshot.id), now: now)
    }

    @Test("while subscribed an entry is trusted without end; else for one second")
    func trust() throws {
        let cache = TokenCache()
        let alice = try snapshot(1)
        remember(alice, in: cache, at: start)
        #expect(cache.trusted(alice.id, now: start + .seconds(1)) == alice)
        #expect(cache.trusted(alice.id, now: start + .milliseconds(1001)) == nil)
        cache.subscriptionChanged(isUp: true)
        #expect(cache.trusted(alice.id, now: start + .seconds(2)) == nil)
        remember(alice, in: cache, at: start + .seconds(2))
        #expect(cache.trusted(alice.id, now: start + .seconds(100_000)) == alice)
        cache.subscriptionChanged(isUp: false)
        #expect(cache.trusted(alice.id, now: start + .seconds(100_000)) == nil)
        #expect(cache.lastKnown(alice.id) == alice)
    }

    @Test("a read that began before a change is not remembered")
    func staleRead() throws {
        let cache = TokenCache()
        cache.subscriptionChanged(isUp: true)
        let alice = try snapshot(1)
        for disturb in [
            { cache.invalidate(try self.change(2)) }, { cache.forget(alice.id) },
            { cache.subscriptionChanged(isUp: true) },
        ] {
            let ticket = cache.ticket(for: alice.id)
            try disturb()
            cache.remember(alice, since: ticket, now: start)
            #expect(cache.trusted(alice.id, now: start) == nil)
        }
    }

    @Test("a change makes an entry untrusted, one that is known already does not")
    func invalidation() throws {
        let cache = TokenCache()
        cache.subscriptionChanged(isUp: true)
        let alice = try snapshot(2)
        remember(alice, in: cache, at: start)
        cache.invalidate(try change(2))
        cache.invalidate(try change(1))
        #expect(cache.trusted(alice.id, now: start) == alice)
        cache.invalidate(try change(3))
        #expect(cache.trusted(alice.id, now: start) == nil)
        #expect(cache.lastKnown(alice.id) == alice)
        remember(alice, in: cache, at: start)
        cache.invalidate(try change(2, .edited))
        #expect(cache.trusted(alice.id, now: start) == nil)
    }

    @Test("what was committed here never falls behind (I2)")
    func monotone() throws {
        let cache = TokenCache()
        cache.subscriptionChanged(isUp: true)
        let newer = try snapshot(3)
        cache.rememberCommitted(newer, since: cache.editTicket(for: newer.id), now: start)
        cache.rememberCommitted(try snapshot(2), since: cache.editTicket(for: newer.id), now: start)
        #expect(cache.trusted(newer.id, now: start) == newer)
        // A read that began before the commit may bring the older generation.
        let fresh = TokenCache()
        let ticket = fresh.ticket(for: newer.id)
        fresh.rememberCommitted(newer, since: fresh.editTicket(for: newer.id), now: start)
        fresh.remember(try snapshot(2), since: ticket, now: start)
        #expect(fresh.lastKnown(newer.id) == newer)
    }

    @Test("memory is bounded")
    func bounded() throws {
        let cache = TokenCache(capacity: 10)
        for number in 0..<100 { remember(try snapshot(1, "a\(number)"), in: cache, at: start) }
        let kept = try (0..<100).count { cache.lastKnown(try AccountID("a\($0)")) != nil }
        #expect(kept == 10)
    }
}
