import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Sealing
import Testing

/// Orphans against a real redis-server: what is kept, and what a person can do about it.
@Suite(.timeLimit(.minutes(10)))
struct OrphanTests {
    private struct Policies: PolicySource {
        var providers: [ProviderName] { [StoreFixture.provider] }
        func policy(for provider: ProviderName) -> RefreshPolicy? { RefreshPolicy(provider: provider) }
    }

    private func orphans(_ fixture: StoreFixture) -> RedisOrphanStore {
        RedisOrphanStore(link: fixture.link, policies: Policies(), origin: StoreFixture.instance)
    }

    private func attempt(_ name: String) -> AttemptID { AttemptID(rawValue: name) }

    /// Re-authorisation wins over a refresh that is under way, whose late answer becomes an orphan of attempt-1.
    private func makeOrphan(_ fixture: StoreFixture, _ id: String = "a") async throws {
        try await fixture.add(id, refresh: "refresh-1")
        _ = try await fixture.begin(id, "attempt-1")
        #expect(try await fixture.add(id, refresh: "refresh-2", access: "access-2") == .replaced(Generation(2)))
        let reply = try await fixture.commit(
            id, "attempt-1", generation: 1, access: "access-late", refresh: "refresh-late")
        #expect(reply == .orphaned)
    }

    @Test func anOrphanSaysWhatItIsAndNoToken() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let found = try await orphans(fixture).orphans(of: AccountID("a"))
            let orphan = try #require(found.first)
            #expect(found.count == 1)
            #expect(orphan.attempt == attempt("attempt-1"))
            #expect(orphan.generation == Generation(1))
            #expect(orphan.newest == Generation(2))
            #expect(orphan.cause == .moved)
            #expect(orphan.origin == StoreFixture.instance)
            #expect(orphan.provider == StoreFixture.provider)
            #expect(orphan.canBeOpened)
            let life = try #require(orphan.expiresAt) - (try await fixture.now())
            #expect(life > .seconds(3500) && life <= .seconds(3600))
            let stored = try await fixture.redis("LRANGE", fixture.link.keys.orphans(AccountID("a")), 0, -1)
            #expect(!"\(stored)".contains("-late"))
            let counts = try await orphans(fixture).orphanCounts([AccountID("a"), AccountID("b")])
            #expect(counts == [try AccountID("a"): 1])
        }
    }

    @Test func aRestoredOrphanIsTheNewestGenerationAndWhatItReplacesIsKept() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let store = orphans(fixture)
            let id = try AccountID("a")
            #expect(try await store.restore(attempt("attempt-2"), of: id, force: false) == .noOrphan)
            // The lock of the overtaken attempt is free by now: its COMMIT let go of it.
            #expect(try await store.restore(attempt("attempt-1"), of: id, force: false) == .restored(Generation(3)))
            let account = try #require(try await fixture.account("a"))
            #expect(account.generation == Generation(3))
            #expect(account.accessToken == Secret("access-late"))
            #expect(account.status == .active)
            #expect(try await fixture.isDue("a"))
            #expect(try await fixture.begin("a", "attempt-3").claim?.refreshToken == Secret("refresh-late"))
            // A journal that says the restored answer once more is no news.
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .already)
            let left = try await store.orphans(of: id)
            #expect(left.map(\.cause) == [.replaced])
            #expect(left.first?.generation == Generation(2))
            // A mistake is undone the same way, though not while attempt-3 is under way.
            let replaced = try #require(left.first?.attempt)
            #expect(try await store.restore(replaced, of: id, force: false) == .busy(.held))
            #expect(try await store.restore(replaced, of: id, force: true) == .restored(Generation(4)))
            #expect(try await fixture.account("a")?.accessToken == Secret("access-2"))
            // The answer of the refresh that was overridden is kept.
            #expect(try await fixture.commit("a", "attempt-3", generation: 3) == .orphaned)
            #expect(try await store.orphans(of: id).map(\.attempt) == [attempt("attempt-3")])
        }
    }

    @Test func aRestoreWakesTheFleet() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let id = try AccountID("a")
            let heard = Task { () -> AccountChange? in
                for await signal in RedisChangeFeed(link: fixture.link).signals() {
                    if case .connected = signal {
                        _ = try await orphans(fixture).restore(attempt("attempt-1"), of: id, force: false)
                    }
                    if case .changed(let change) = signal { return change }
                }
                return nil
            }
            let change = try await heard.value
            #expect(change == AccountChange(account: id, generation: Generation(3), outcome: .added))
        }
    }

    /// An open intent without a lock may be that of a holder who is only slow.
    @Test func aRestoreRefusesWhileASpendMayBeUnderWay() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let id = try AccountID("a")
            _ = try await fixture.begin("a", "attempt-2", lockTTL: .milliseconds(1))
            try await fixture.waitForKeyToVanish(fixture.link.keys.lock(id))
            let store = orphans(fixture)
            #expect(try await store.restore(attempt("attempt-1"), of: id, force: false) == .busy(.open))
            _ = try await fixture.redis("HSET", fixture.link.keys.account(id), "intent", "v2 something else")
            #expect(try await store.restore(attempt("attempt-1"), of: id, force: false) == .busy(.foreign))
            #expect(try await fixture.account("a")?.generation == Generation(2))
            #expect(try await store.orphans(of: id).count == 1)
        }
    }

    /// I4 and I1: a refused account with an orphan lives on, and its token is not sent again.
    @Test func aRefusedAccountWithAnOrphanWaitsForAPerson() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let id = try AccountID("a")
            _ = try await fixture.begin("a", "attempt-2")
            _ = try await fixture.settle("a", "attempt-2", generation: 2, .refused, kind: .refused)
            #expect(try await fixture.account("a")?.status == .degraded)
            guard case .pending(_, let intent, _) = try await fixture.begin("a", "attempt-3", ignoresBackoff: true)
            else {
                Issue.record("a refused token was granted again")
                return
            }
            #expect(intent.state == .refused)
            // Being put off does not make it sendable.
            _ = try await fixture.settle("a", "attempt-2", generation: 2, .unresolved, kind: .refused)
            #expect(try await fixture.account("a")?.intent?.state == .refused)
            let store = orphans(fixture)
            #expect(try await store.restore(attempt("attempt-1"), of: id, force: false) == .restored(Generation(3)))
            let account = try #require(try await fixture.account("a"))
            #expect(account.status == .active && account.failures == 0 && account.lastFault == nil)
            #expect(account.intent == nil && account.nextAttemptAt == nil)
            // The refused credentials are worth nothing: they do not come back as an orphan.
            #expect(try await store.orphans(of: id).isEmpty)
        }
    }

    @Test func droppingTheLastOrphanOfARefusedAccountEndsIt() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let id = try AccountID("a")
            _ = try await fixture.begin("a", "attempt-2")
            _ = try await fixture.settle("a", "attempt-2", generation: 2, .refused, kind: .refused)
            let store = orphans(fixture)
            #expect(try await store.drop(attempt("attempt-1"), of: id) == .droppedLast)
            #expect(try await store.drop(attempt("attempt-1"), of: id) == .noOrphan)
            #expect(try await fixture.account("a")?.status == .reauthRequired)
            #expect(try await fixture.isDue("a") == false)
            #expect(try await fixture.begin("a", "attempt-3", ignoresBackoff: true).word == "blocked")
        }
    }

    @Test func droppingTheOrphanOfALivingAccountLeavesItAlone() async throws {
        try await StoreFixture.run { fixture in
            try await makeOrphan(fixture)
            let before = try #require(try await fixture.account("a"))
            #expect(try await orphans(fixture).drop(attempt("attempt-1"), of: AccountID("a")) == .dropped)
            #expect(try await fixture.account("a") == before)
            #expect(try await fixture.redis("EXISTS", fixture.link.keys.orphans(AccountID("a"))).int == 0)
        }
    }

    /// Removal wins over a refresh that is under way; its answer does not bring the account back, and is not lost.
    @Test func theLateAnswerOfARemovedAccountIsKept() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            #expect(try await fixture.directory.remove(id, ifGeneration: nil) == .done)
            let reply = try await fixture.commit(
                "a", "attempt-1", generation: 1, access: "access-late", refresh: "refresh-late")
            #expect(reply == .orphaned)
            #expect(try await fixture.account("a") == nil)
            let store = orphans(fixture)
            let orphan = try #require(try await store.orphans(of: id).first)
            #expect(orphan.cause == .removed)
            #expect(orphan.newest == nil)
            #expect(try await store.restore(orphan.attempt, of: id, force: false) == .noAccount)
            // Added again, it can have its old answer; at another provider it cannot.
            try await fixture.add("a", refresh: "refresh-2")
            #expect(try await store.restore(orphan.attempt, of: id, force: false) == .restored(Generation(3)))
            #expect(try await fixture.account("a")?.accessToken == Secret("access-late"))
        }
    }

    @Test func anOrphanOfAnotherProviderIsNotRestored() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.directory.remove(id, ifGeneration: nil)
            _ = try await fixture.commit("a", "attempt-1", generation: 1)
            let other = try ProviderName("other")
            try await fixture.add("a", provider: other)
            #expect(
                try await orphans(fixture).restore(attempt("attempt-1"), of: id, force: true)
                    == .otherProvider(account: other, orphan: StoreFixture.provider))
        }
    }

    /// A journal that lost its note of the release in a power cut says an answer again that is long in the store.
    @Test func aCommitThatIsRepeatedAfterLaterRefreshesIsNoOrphan() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            for number in 1...8 {
                _ = try await fixture.begin("a", "attempt-\(number)")
                #expect(
                    try await fixture.commit("a", "attempt-\(number)", generation: Int64(number))
                        == .committed(enabled: true))
            }
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .already)
            // New credentials and removal do not make it forget.
            try await fixture.add("a", refresh: "refresh-new")
            #expect(try await fixture.commit("a", "attempt-8", generation: 8) == .already)
            _ = try await fixture.directory.remove(id, ifGeneration: nil)
            #expect(try await fixture.commit("a", "attempt-8", generation: 8) == .already)
            #expect(try await orphans(fixture).orphans(of: id).isEmpty)
            // An attempt that never was committed is still one.
            #expect(try await fixture.commit("a", "attempt-9", generation: 8) == .orphaned)
        }
    }

    /// Entries of the first version hold three words only.
    @Test func entriesOfTheFirstVersionAreReadAndRestored() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            let now = try await fixture.now()
            let json =
                #"{"accessToken":"access-old","refreshToken":"refresh-old","tokenType":"Bearer","expiresAt":\#((now + .seconds(60)).milliseconds)}"#
            let sealed = try fixture.link.ring.seal(
                Array(json.utf8), at: .init(account: id, field: "orphan", generation: Generation(1)))
            _ = try await fixture.redis(
                "RPUSH", fixture.link.keys.orphans(id), Array("attempt-old 1 \(now.milliseconds) ".utf8) + sealed)
            let store = orphans(fixture)
            let orphan = try #require(try await store.orphans(of: id).first)
            #expect(orphan.attempt == attempt("attempt-old"))
            #expect(orphan.cause == nil && orphan.canBeOpened)
            #expect(try await store.restore(orphan.attempt, of: id, force: false) == .restored(Generation(2)))
            #expect(try await fixture.account("a")?.accessToken == Secret("access-old"))
        }
    }
}
