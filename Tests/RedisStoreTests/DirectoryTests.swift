import PerennialServers
import RedisClient
import RefreshCore
import Sealing
import Testing

@testable import RedisStore

/// Adding, editing, removing and listing accounts; the schedule; what is in Redis.
@Suite(.timeLimit(.minutes(10)))
struct DirectoryTests {
    @Test func generationsNeverRepeatEvenOverRemoval() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            #expect(try await fixture.add("a") == .created(Generation(1)))
            #expect(try await fixture.add("a") == .replaced(Generation(2)))
            #expect(try await fixture.directory.remove(id, ifGeneration: nil) == .done)
            #expect(try await fixture.account("a") == nil)
            #expect(try await fixture.directory.remove(id, ifGeneration: nil) == .missing)
            #expect(try await fixture.add("a") == .created(Generation(3)))
        }
    }

    @Test func removalDuringARefreshDoesNotResurrect() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.directory.remove(AccountID("a"), ifGeneration: nil)
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .orphaned)
            #expect(try await fixture.account("a") == nil)
            #expect(try await fixture.directory.count() == 0)
            #expect(try await fixture.isDue("a") == false)
        }
    }

    /// Trap 4: an edit and a refresh at once both land.
    @Test func editsDuringARefreshBothLand() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            try await fixture.add("a", name: "old")
            _ = try await fixture.begin("a", "attempt-1")
            #expect(try await fixture.directory.edit(id, AccountEdit(name: "new", enabled: false)) == .done)
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: false))
            let account = try #require(try await fixture.account("a"))
            #expect(account.name == "new")
            #expect(!account.enabled)
            #expect(account.generation == Generation(2))
            #expect(try await fixture.isDue("a") == false)
            #expect(try await fixture.begin("a", "attempt-2").word == "blocked")
            #expect(try await fixture.directory.edit(id, AccountEdit(enabled: true)) == .done)
            #expect(try await fixture.isDue("a"))
            #expect(try await fixture.begin("a", "attempt-2").word == "granted")
        }
    }

    @Test func overwriteRulesAndPreconditions() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", access: "access-1", expiresIn: .seconds(3600))
            #expect(
                try await fixture.add("a", access: "older", expiresIn: .seconds(60), overwrite: .ifNewer)
                    == .kept(Generation(1)))
            #expect(try await fixture.add("a", overwrite: .ifNewer) == .kept(Generation(1)))
            #expect(
                try await fixture.add("a", access: "newer", expiresIn: .seconds(7200), overwrite: .ifNewer)
                    == .replaced(Generation(2)))
            #expect(try await fixture.add("a", overwrite: .never) == .conflict(Generation(2)))
            #expect(try await fixture.add("a", ifGeneration: Generation(1)) == .conflict(Generation(2)))
            #expect(try await fixture.add("b", ifGeneration: Generation(1)) == .conflict(nil))
            let other = try ProviderName("other")
            #expect(try await fixture.add("a", provider: other) == .otherProvider(StoreFixture.provider))
            #expect(
                try await fixture.directory.edit(
                    AccountID("a"), AccountEdit(name: "x", ifGeneration: Generation(1))) == .conflict(Generation(2)))
        }
    }

    @Test(arguments: [1, 64])
    func listingPagesThroughAllAccountsInOrder(partitions: Int) async throws {
        try await StoreFixture.run(partitions: partitions) { fixture in
            let names = (0..<250).map { "account-\($0)" }
            for name in names { try await fixture.add(name) }
            var found: [String] = []
            var after: AccountID?
            repeat {
                let page = try await fixture.directory.list(after: after, limit: 40)
                found += page.accounts.map(\.id.rawValue)
                after = page.next
            } while after != nil
            #expect(found == names.sorted())
            #expect(try await fixture.directory.count() == 250)
        }
    }

    @Test func takingDueAccountsHoldsThemAndReconcileRepairs() async throws {
        try await StoreFixture.run { fixture in
            for number in 0..<5 { try await fixture.add("due-\(number)", dueIn: .zero) }
            try await fixture.add("later", dueIn: .seconds(100))
            let limits = [StoreFixture.provider: 3]
            let first = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(30))
            #expect(first.due.count == 3)
            #expect(first.nextDueIn == .zero)
            let second = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(30))
            #expect(second.due.count == 2)
            #expect(Set(first.due + second.due).count == 5)
            let third = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(30))
            #expect(third.due.isEmpty)
            _ = try await fixture.redis("DEL", fixture.link.keys.due(0, StoreFixture.provider))
            #expect(try await fixture.schedule.reconcile() == 6)
            #expect(try await fixture.schedule.reconcile() == 0)
            #expect(try await fixture.schedule.scheduledCounts([StoreFixture.provider]) == [StoreFixture.provider: 6])
        }
    }

    @Test func aLookAtTheScheduleCostsTheSameForFewAndManyAccounts() async throws {
        try await StoreFixture.run { fixture in
            var costs: [[String: Int]] = []
            var added = 0
            for total in [10, 2000] {
                while added < total {
                    try await fixture.add("account-\(added)", dueIn: .seconds(1000))
                    added += 1
                }
                _ = try await fixture.redis("CONFIG", "RESETSTAT")
                _ = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 64], hold: .seconds(30))
                let stats = try await fixture.redis("INFO", "commandstats").string ?? ""
                costs.append(Self.calls(stats))
            }
            #expect(costs[0] == costs[1])
            #expect((costs[0]["evalsha"] ?? 0) + (costs[0]["eval"] ?? 0) >= 1)
        }
    }

    private static func calls(_ stats: String) -> [String: Int] {
        var calls: [String: Int] = [:]
        for line in stats.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            let parts = line.dropFirst("cmdstat_".count).split(separator: ":")
            guard parts.count == 2, let count = parts[1].split(separator: ",").first?.dropFirst("calls=".count) else {
                continue
            }
            // The first EVALSHA of a run finds no script and is followed by EVAL: the same in effect.
            let name = parts[0].hasPrefix("eval") ? "evalsha" : String(parts[0])
            if name.hasPrefix("config") || name == "info" { continue }
            calls[name, default: 0] += Int(count) ?? 0
        }
        if let scripts = calls["evalsha"] { calls["evalsha"] = min(scripts, 1) }
        return calls
    }

    @Test func redisNeverSeesAPlaintextToken() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", refresh: "planted-refresh-0", access: "planted-access-0")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.commit(
                "a", "attempt-1", generation: 1, access: "planted-access-1", refresh: "planted-refresh-1")
            _ = try await fixture.commit(
                "a", "attempt-9", generation: 1, access: "planted-access-2", refresh: "planted-refresh-2")
            var everything: [UInt8] = []
            for key in try await fixture.redis("KEYS", "*").array ?? [] {
                everything += try await fixture.redis("DUMP", key.string ?? "").bytes ?? []
                let name = key.string ?? ""
                switch try await fixture.redis("TYPE", name).string {
                case "hash": everything += Self.flat(try await fixture.redis("HGETALL", name))
                case "list": everything += Self.flat(try await fixture.redis("LRANGE", name, 0, -1))
                case "stream": everything += Self.flat(try await fixture.redis("XRANGE", name, "-", "+"))
                case "string": everything += Self.flat(try await fixture.redis("GET", name))
                default: break
                }
            }
            #expect(everything.count > 500)
            let text = String(decoding: everything, as: UTF8.self)
            #expect(text.contains("token.refreshed"))
            #expect(!text.contains("planted"))
        }
    }

    private static func flat(_ value: RESPValue) -> [UInt8] {
        value.bytes ?? value.array?.flatMap { flat($0) } ?? []
    }

    @Test func aWrongSealingKeyIsRefusedBeforeAnythingIsWritten() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            let before = try await fixture.redis("HGETALL", fixture.link.keys.meta)
            let count = try await fixture.redis("DBSIZE")
            let wrong = RedisLink(
                client: fixture.client, keys: fixture.link.keys, ring: try KeyRing(keys: [.generate()]),
                clock: fixture.link.clock)
            let error = await #expect(throws: StoreError.self) { try await StoreMeta.open(wrong) }
            #expect(error?.code == .sealing)
            #expect(error?.message.contains("wrong sealing key") == true)
            let directory = RedisAccountDirectory(link: wrong, origin: StoreFixture.instance)
            await #expect(throws: StoreError.self) { _ = try await directory.count() }
            #expect(try await fixture.redis("HGETALL", fixture.link.keys.meta) == before)
            #expect(try await fixture.redis("DBSIZE") == count)
            // With the old key as a further one, the new key is taken.
            let both = RedisLink(
                client: fixture.client, keys: fixture.link.keys,
                ring: try KeyRing(keys: [.generate()] + fixture.link.ring.keys), clock: fixture.link.clock)
            try await StoreMeta.open(both)
            let reader = RedisAccountStore(link: both, origin: StoreFixture.instance)
            #expect(try await reader.read(AccountID("a")) != nil)
        }
    }

    /// Its reply was lost; until it is repeated the account has used its first token up, and has been removed.
    @Test func aRepeatedPutDoesNotBringARemovedAccountBack() async throws {
        try await StoreFixture.run { fixture in
            let id = try AccountID("a")
            let put = AccountPut(
                id: id, provider: StoreFixture.provider, name: nil,
                credentials: Credentials(refreshToken: Secret("refresh-1")), dueAt: try await fixture.now(),
                attempt: AttemptID(rawValue: "acquired-1"))
            #expect(try await fixture.directory.put(put) == .created(Generation(1)))
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.commit("a", "attempt-1", generation: 1)
            #expect(try await fixture.directory.remove(id, ifGeneration: nil) == .done)
            #expect(try await fixture.directory.put(put) == .replaced(Generation(2)))
            #expect(try await fixture.account("a") == nil)
            #expect(try await fixture.begin("a", "attempt-2").word == "missing")
            // A log-in of its own brings it back.
            #expect(try await fixture.add("a", refresh: "refresh-new") == .created(Generation(3)))
        }
    }

    @Test func settingsThatLoseTokensAreWarnedAbout() async throws {
        try await StoreFixture.run(.init(directives: ["appendonly yes", "maxmemory-policy noeviction"])) { fixture in
            #expect(await ServerSurvey.warnings(fixture.link) == [])
            _ = try await fixture.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            _ = try await fixture.redis("CONFIG", "SET", "appendonly", "no")
            let warnings = await ServerSurvey.warnings(fixture.link)
            #expect(warnings.count == 2)
            #expect(warnings.contains { $0.contains("maxmemory-policy allkeys-lru") })
            #expect(warnings.contains { $0.contains("appendonly") })
        }
    }

    /// It fails by itself and says which key is missing; nothing looks as if its token had been spent.
    @Test func anAccountThatCannotBeOpenedIsNotLeftWithAClaim() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            let link = RedisLink(
                client: fixture.client, keys: fixture.link.keys, ring: try KeyRing(keys: [.generate()]),
                clock: fixture.link.clock)
            link.gate.open(partitions: 1)
            let blind = RedisAccountStore(link: link, origin: try InstanceID("instance-2"))
            let error = await #expect(throws: StoreError.self) {
                _ = try await blind.begin(
                    BeginRequest(
                        account: try AccountID("a"), provider: StoreFixture.provider,
                        demand: .newerThan(Generation(1)), attempt: AttemptID(rawValue: "blind"),
                        origin: try InstanceID("instance-2"), lockTTL: .seconds(30)))
            }
            #expect(error?.code == .sealing)
            let account = try #require(try await fixture.account("a"))
            #expect(account.intent == nil && account.status == .degraded && account.failures == 1)
            #expect(account.lastFault?.message.contains("not in the key file") == true)
            #expect(try await fixture.begin("a", "attempt-1", ignoresBackoff: true).word == "granted")
        }
    }

    @Test func corruptAccountsAreErrorsNotCrashes() async throws {
        try await StoreFixture.run { fixture in
            let key = fixture.link.keys.account(try AccountID("a"))
            for (field, value) in [
                ("generation", "NaN"), ("provider", "no such name!"), ("access", "plain"), ("expires_at", "soon"),
                ("status", "odd"), ("intent", "v1 x y"), ("failures", "-"),
            ] {
                _ = try await fixture.directory.remove(AccountID("a"), ifGeneration: nil)
                try await fixture.add("a", access: "access-1")
                _ = try await fixture.redis("HSET", key, field, value)
                do {
                    _ = try await fixture.account("a")
                    _ = try await fixture.begin("a", "attempt-1")
                } catch {
                    #expect(error is StoreError || error is RedisError, "\(field): \(error)")
                }
                _ = try await fixture.redis("DEL", key)
            }
            _ = try await fixture.redis("SET", key, "not a hash")
            await #expect(throws: StoreError.self) { _ = try await fixture.account("a") }
        }
    }
}
