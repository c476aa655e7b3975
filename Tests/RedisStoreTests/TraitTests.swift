import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Sealing
import Testing

/// Pool, tier, labels and proxy of an account in Redis.
@Suite(.timeLimit(.minutes(10)))
struct TraitTests {
    private static func proxy(_ password: String) throws -> ProxySetting {
        .server(
            try ProxyServer(
                "socks5h://proxy.example:1080", username: Secret("planted-user"), password: Secret(password)))
    }

    @Test func theyAreKeptThroughRefreshesAndNewCredentials() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            let changes = TraitChanges(
                pool: .set(try PoolName("shared")), tier: .set(try TierName("personal")),
                labels: .replace(try AccountLabels(["team": "search", "note": "a=b; \"c\" é"])),
                proxy: .set(try Self.proxy("planted-1")))
            #expect(try await fixture.directory.edit(id, AccountEdit(traits: changes)) == .done)
            let edited = try #require(try await fixture.account("a"))
            #expect(edited.pool?.rawValue == "shared")
            #expect(edited.tier?.rawValue == "personal")
            #expect(edited.labels.values == ["team": "search", "note": "a=b; \"c\" é"])
            #expect(edited.proxy == (try Self.proxy("planted-1")))
            #expect(edited.generation == Generation(1))

            let claim = try #require(try await fixture.begin("a", "t1").claim)
            #expect(claim.account.proxy == edited.proxy)
            #expect(try await fixture.commit("a", "t1", generation: 1) == .committed(enabled: true))
            try await fixture.add("a")
            let later = try #require(try await fixture.account("a"))
            #expect(later.generation == Generation(3))
            #expect(later.pool == edited.pool && later.tier == edited.tier)
            #expect(later.labels == edited.labels && later.proxy == edited.proxy)

            let removal = TraitChanges(pool: .remove, tier: .remove, labels: .replace(.none), proxy: .remove)
            #expect(try await fixture.directory.edit(id, AccountEdit(traits: removal)) == .done)
            let bare = try #require(try await fixture.account("a"))
            #expect(bare.pool == nil && bare.tier == nil && bare.labels.isEmpty && bare.proxy == nil)
        }
    }

    /// A key rotation: the new key first, and after each account has been refreshed once without the old one.
    @Test func aRefreshPutsTheProxyUnderTheNewKey() async throws {
        let (old, new) = (SealingKey.generate(), SealingKey.generate())
        try await StoreFixture.run(ring: try KeyRing(keys: [old])) { fixture in
            func store(_ keys: SealingKey...) async throws -> RedisAccountStore {
                let link = RedisLink(
                    client: fixture.client, keys: fixture.link.keys, ring: try KeyRing(keys: keys),
                    clock: fixture.link.clock)
                try await StoreMeta.open(link)
                return RedisAccountStore(link: link, origin: StoreFixture.instance)
            }
            let id = try AccountID("a")
            try await fixture.add("a")
            let traits = TraitChanges(proxy: .set(try Self.proxy("planted-1")))
            #expect(try await fixture.directory.edit(id, AccountEdit(traits: traits)) == .done)
            let both = try await store(new, old)
            var sealed: [[UInt8]] = []
            for generation in 1...2 as ClosedRange<Int64> {
                let attempt = AttemptID(rawValue: "t\(generation)")
                let reply = try await both.begin(
                    BeginRequest(
                        account: id, provider: StoreFixture.provider, demand: .newerThan(Generation(generation)),
                        attempt: attempt, origin: StoreFixture.instance, lockTTL: .seconds(30)))
                let claim = try #require(reply.claim)
                #expect(claim.account.proxy == (try Self.proxy("planted-1")))
                let now = try await fixture.now()
                let grant = TokenGrant(
                    accessToken: Secret("at"), refreshToken: Secret("rt"), tokenType: "Bearer",
                    expiresAt: now + .seconds(3600))
                _ = try await both.commit(
                    CommitRequest(claim: claim, grant: grant, obtainedAt: now, dueAt: now + .seconds(3000)))
                sealed.append(
                    try #require(try await fixture.redis("HGET", fixture.link.keys.account(id), "proxy").bytes))
            }
            // Once, and not with each refresh.
            #expect(sealed[0] == sealed[1])
            let later = try #require(try await store(new).read(id))
            #expect(later.proxy == (try Self.proxy("planted-1")) && later.generation == Generation(3))
        }
    }

    /// Trap 4: an edit that wrote the whole account back would undo the refresh, or the other way round.
    @Test func anEditDuringARefreshAndTheRefreshBothLand() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a", access: "access-1")
            _ = try await fixture.begin("a", "t1")
            for (number, changes) in [
                TraitChanges(pool: .set(try PoolName("p"))), TraitChanges(labels: .merge(["k": "1"])),
                TraitChanges(labels: .merge(["l": "2"])), TraitChanges(proxy: .set(.direct)),
            ].enumerated() {
                let edit = AccountEdit(name: "n\(number)", traits: changes)
                #expect(try await fixture.directory.edit(id, edit) == .done)
            }
            #expect(try await fixture.account("a")?.intent != nil)
            #expect(
                try await fixture.commit("a", "t1", generation: 1, access: "access-2") == .committed(enabled: true))
            let both = try #require(try await fixture.account("a"))
            #expect(both.accessToken?.reveal() == "access-2" && both.generation == Generation(2))
            #expect(both.pool?.rawValue == "p" && both.name == "n3" && both.proxy == .direct)
            #expect(both.labels.values == ["k": "1", "l": "2"])
        }
    }

    @Test func labelsAreMergedAndBounded() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            func merge(_ changes: [String: String?]) async throws -> EditReply {
                try await fixture.directory.edit(id, AccountEdit(traits: TraitChanges(labels: .merge(changes))))
            }
            #expect(try await merge(["a": "1", "b": "2"]) == .done)
            #expect(try await merge(["a": nil, "c": "3", "nothing": nil]) == .done)
            #expect(try await fixture.account("a")?.labels.values == ["b": "2", "c": "3"])
            let many = Dictionary(uniqueKeysWithValues: (0..<30).map { ("k\($0)", Optional("v")) })
            #expect(try await merge(many) == .done)
            #expect(try await merge(["one": "more"]) == .tooManyLabels)
            #expect(try await merge(["one": "more", "b": nil]) == .done)
            #expect(try await fixture.account("a")?.labels.values.count == 32)
            #expect(try await fixture.account("a")?.labels["one"] == "more")
        }
    }

    @Test func newCredentialsEndAPauseOnlyWhereTheyAreTo() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a")
            _ = try await fixture.directory.edit(id, AccountEdit(enabled: false))
            try await fixture.add("a")
            #expect(try await fixture.account("a")?.enabled == false)
            #expect(try await fixture.isDue("a") == false)
            var put = AccountPut(
                id: id, provider: StoreFixture.provider, name: nil,
                credentials: Credentials(refreshToken: Secret("r")), dueAt: try await fixture.now())
            put.resumes = true
            #expect(try await fixture.directory.put(put) == .replaced(Generation(3)))
            #expect(try await fixture.account("a")?.enabled == true)
            #expect(try await fixture.isDue("a"))
        }
    }

    /// As with COMMIT: the reply is lost, the account is refreshed, and then the same change is sent once more.
    @Test func aRepeatedChangeIsMadeOnce() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            let put = AccountPut(
                id: id, provider: StoreFixture.provider, name: nil,
                credentials: Credentials(refreshToken: Secret("login-refresh")), dueAt: try await fixture.now(),
                attempt: AttemptID(rawValue: "login-1"))
            #expect(try await fixture.directory.put(put) == .created(Generation(1)))
            _ = try await fixture.begin("a", "t1")
            _ = try await fixture.commit("a", "t1", generation: 1, refresh: "refresh-2")
            #expect(try await fixture.directory.put(put) == .replaced(Generation(2)))
            #expect(try await fixture.begin("a", "t2").claim?.refreshToken.reveal() == "refresh-2")
            // Nor does it come back from its removal: the token has been used up.
            _ = try await fixture.directory.remove(id, ifGeneration: nil)
            #expect(try await fixture.directory.put(put) == .replaced(Generation(2)))
            #expect(try await fixture.account("a") == nil)
        }
    }

    @Test func accountsOfOlderVersionsHaveNone() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", access: "access-1")
            let key = fixture.link.keys.account(try AccountID("a"))
            _ = try await fixture.redis("HDEL", key, "pool", "tier", "labels", "proxy")
            let account = try #require(try await fixture.account("a"))
            #expect(account.pool == nil && account.tier == nil && account.labels.isEmpty && account.proxy == nil)
            #expect(try await fixture.begin("a", "t1").claim?.account.proxy == nil)
        }
    }

    @Test func aProxyIsSealedAndBoundToItsAccount() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            try await fixture.add("b")
            for id in ["a", "b"] {
                let changes = TraitChanges(proxy: .set(try Self.proxy("planted-\(id)")))
                _ = try await fixture.directory.edit(try AccountID(id), AccountEdit(traits: changes))
            }
            let keys = fixture.link.keys
            let (one, two) = (keys.account(try AccountID("a")), keys.account(try AccountID("b")))
            let sealed = try #require(try await fixture.redis("HGET", one, "proxy").bytes)
            let text = String(decoding: sealed, as: UTF8.self)
            #expect(!text.contains("planted") && !text.contains("proxy.example"))

            // Moved to another account it cannot be opened, and nothing of that account is used then.
            _ = try await fixture.redis("HSET", two, "proxy", sealed)
            await #expect(throws: StoreError.self) { _ = try await fixture.account("b") }
            await #expect(throws: StoreError.self) { _ = try await fixture.begin("b", "t1") }
            // And that can be mended.
            let mended = AccountEdit(traits: TraitChanges(proxy: .remove))
            #expect(try await fixture.directory.edit(AccountID("b"), mended) == .done)
            #expect(try await fixture.account("b")?.proxy == nil)
        }
    }
}
