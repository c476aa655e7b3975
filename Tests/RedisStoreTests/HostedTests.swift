import RedisClient
import RedisStore
import RefreshCore
import Testing

/// What is different where each command is paid for, on a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct HostedTests {
    private func hosted(_ body: (StoreFixture) async throws -> Void) async throws {
        try await StoreFixture.run(isFrugal: true, body)
    }

    /// What the server has executed since `before`, by its own counts and without the question itself.
    private func commands(_ fixture: StoreFixture) async throws -> [String: Int] {
        var calls: [String: Int] = [:]
        let info = try await fixture.redis("INFO", "commandstats").string ?? ""
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            let parts = line.dropFirst("cmdstat_".count).split(separator: ":")
            let count = parts[1].split(separator: ",")[0].dropFirst("calls=".count)
            calls[parts[0].uppercased()] = Int(count)
        }
        calls["INFO"] = nil
        // Of a connection on which nothing came for a while.
        calls["PING"] = nil
        return calls
    }

    private func difference(_ later: [String: Int], _ earlier: [String: Int]) -> [String: Int] {
        later.merging(earlier) { $0 - $1 }.filter { $0.value != 0 }
    }

    @Test func aRefreshTakesFiveCommandsToBeginAndFiveToCommit() async throws {
        try await hosted { fixture in
            try await fixture.add("a")
            try await fixture.add("b")
            // The scripts are known to the server from here on.
            _ = try await fixture.begin("b", "attempt-0")
            _ = try await fixture.commit("b", "attempt-0", generation: 1)
            let account = try AccountID("a")
            let request = BeginRequest(
                account: account, provider: StoreFixture.provider, demand: .newerThan(Generation(1)),
                attempt: AttemptID(rawValue: "attempt-1"), origin: StoreFixture.instance, lockTTL: .seconds(30),
                failoverHold: .seconds(25))
            let before = try await commands(fixture)
            let claim = try #require(try await fixture.store.begin(request).claim)
            #expect(claim.refreshToken.reveal() == "refresh-1")
            let begun = try await commands(fixture)
            #expect(difference(begun, before) == ["EVALSHA": 1, "HMGET": 2, "TIME": 1, "HSET": 1])
            let now = fixture.link.clock.wall()
            let beforeCommit = try await fixture.now()
            let counted = try await commands(fixture)
            let reply = try await fixture.store.commit(
                CommitRequest(
                    claim: claim,
                    grant: TokenGrant(
                        accessToken: Secret("access-2"), refreshToken: Secret("refresh-2"), tokenType: "Bearer",
                        expiresAt: now + .seconds(3600)),
                    obtainedAt: now, dueAt: now + .seconds(3000)))
            #expect(reply == .committed(enabled: true))
            #expect(
                difference(try await commands(fixture), counted)
                    == ["EVALSHA": 1, "HMGET": 1, "HSET": 1, "ZADD": 1, "PUBLISH": 1])
            let snapshot = try #require(try await fixture.account("a"))
            #expect(snapshot.generation == Generation(2))
            #expect(snapshot.intent == nil)
            #expect((beforeCommit...(try await fixture.now())).contains(snapshot.updatedAt))
        }
    }

    @Test func theOpenIntentStandsInForTheLock() async throws {
        try await hosted { fixture in
            try await fixture.add("a")
            let begun = try await fixture.now()
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            #expect(try await fixture.redis("EXISTS", fixture.link.keys.lock(try AccountID("a"))).int == 0)
            guard case .pending(_, let intent, let age) = try await fixture.begin("a", "attempt-2") else {
                Issue.record("a second claim to the same refresh token")
                return
            }
            #expect(intent.attempt.rawValue == "attempt-1")
            #expect(intent.state == .open)
            #expect(age <= (try await fixture.now()) - begun)
            // The reply to the first was lost: the same claim again.
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            // Of two who recover it one gets it.
            #expect(try await fixture.begin("a", "attempt-3", recovering: "attempt-1").word == "granted for recovery")
            #expect(try await fixture.begin("a", "attempt-4", recovering: "attempt-1").word == "pending")
            // Nobody but the holder of the claim puts it to rest, and then the next may.
            _ = try await fixture.settle("a", "attempt-2", generation: 1, .released, kind: .unsent)
            #expect(try await fixture.begin("a", "attempt-5", ignoresBackoff: true).word == "pending")
        }
    }

    @Test func aSettledClaimMakesRoom() async throws {
        try await hosted { fixture in
            try await fixture.add("a")
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            _ = try await fixture.settle("a", "attempt-1", generation: 1, .released, kind: .unsent)
            #expect(try await fixture.begin("a", "attempt-2").word == "cooling")
            #expect(try await fixture.begin("a", "attempt-3", ignoresBackoff: true).word == "granted")
        }
    }

    /// An instance of the standard profile on the same store takes a lock key, and is respected without it being read.
    @Test func bothProfilesRespectEachOther() async throws {
        try await StoreFixture.run { fixture in
            let link = RedisLink(
                client: fixture.client, keys: fixture.link.keys, ring: fixture.link.ring, clock: fixture.link.clock,
                isFrugal: true)
            try await StoreMeta.open(link)
            let frugal = RedisAccountStore(link: link, origin: try InstanceID("instance-2"))
            func begin(_ id: String, _ attempt: String) throws -> BeginRequest {
                BeginRequest(
                    account: try AccountID(id), provider: StoreFixture.provider, demand: .newerThan(Generation(1)),
                    attempt: AttemptID(rawValue: attempt), origin: frugalOrigin, lockTTL: .seconds(30))
            }
            let frugalOrigin = try InstanceID("instance-2")
            try await fixture.add("a")
            try await fixture.add("b")
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            #expect(try await frugal.begin(try begin("a", "attempt-2")).word == "pending")
            #expect(try await frugal.begin(try begin("b", "attempt-3")).word == "granted")
            #expect(try await fixture.begin("b", "attempt-4").word == "pending")
        }
    }

    @Test func whatIsDueStaysInTheSchedule() async throws {
        try await hosted { fixture in
            for number in 1...3 { try await fixture.add("due-\(number)", dueIn: .seconds(-60 * number)) }
            try await fixture.add("later", dueIn: .seconds(3600))
            let limits = [StoreFixture.provider: 10]
            let before = try await commands(fixture)
            let batch = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(30))
            #expect(difference(try await commands(fixture), before) == ["ZRANGE": 1])
            #expect(batch.due.map(\.account.rawValue) == ["due-3", "due-2", "due-1"])
            let wait = try #require(batch.nextDueIn)
            #expect(wait > .seconds(3000) && wait <= .seconds(3605))
            #expect(try await fixture.schedule.takeDue(limits: limits, hold: .seconds(30)).due == batch.due)
            // More is due than was asked for.
            let few = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 2], hold: .seconds(30))
            #expect(few.due.count == 2)
            #expect(few.nextDueIn == .zero)
        }
    }

    @Test func aBidForAHeldLeaseIsOneCommand() async throws {
        try await hosted { fixture in
            let leader = try InstanceID("leader")
            let begun = try await fixture.now()
            #expect(
                try await RedisLeaseStore(link: fixture.link).acquire(leader, ttl: .seconds(600)) == .acquired(epoch: 1)
            )
            // The first bid asks whether the lease is its own.
            guard case .held = try await fixture.leases.acquire(StoreFixture.instance, ttl: .seconds(60)) else {
                Issue.record("two leaders")
                return
            }
            let before = try await commands(fixture)
            guard case .held(let left) = try await fixture.leases.acquire(StoreFixture.instance, ttl: .seconds(60))
            else {
                Issue.record("two leaders")
                return
            }
            #expect(difference(try await commands(fixture), before) == ["PTTL": 1])
            #expect((begun...(try await fixture.now())).rest(of: .seconds(600)).contains(left))
            _ = try await fixture.redis("DEL", fixture.link.keys.leader)
            #expect(
                try await fixture.leases.acquire(StoreFixture.instance, ttl: .seconds(60)) == .acquired(epoch: 2))
        }
    }

    @Test(arguments: [false, true]) func aLeaderThatWasStartedAnewTakesItsLeaseBack(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            let (one, two) = (try InstanceID("one"), try InstanceID("one-and-more"))
            #expect(try await fixture.leases.acquire(one, ttl: .seconds(60)) == .acquired(epoch: 1))
            // The process has died and comes back: a store of its own.
            let reborn = RedisLeaseStore(link: fixture.link)
            #expect(try await reborn.acquire(one, ttl: .seconds(60)) == .acquired(epoch: 2))
            #expect(try await reborn.renew(one, epoch: 1, ttl: .seconds(60)) == false)
            #expect(try await reborn.renew(one, epoch: 2, ttl: .seconds(60)))
            guard case .held = try await RedisLeaseStore(link: fixture.link).acquire(two, ttl: .seconds(60)) else {
                Issue.record("a name that only begins alike took the lease")
                return
            }
        }
    }

    /// The client's own counts, with what scripts usually run, against the server's.
    @Test(arguments: [false, true]) func theClientCountsWhatTheServerCounts(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            for number in 0..<10 { try await fixture.add("account-\(number)", dueIn: .zero) }
            func counted() -> Int {
                fixture.client.commandCounts.filter { $0.key != "INFO" }.values.reduce(0, +)
            }
            let (clientBefore, serverBefore) = (counted(), try await commands(fixture))
            _ = try await fixture.leases.acquire(StoreFixture.instance, ttl: .seconds(60))
            for round in 1...5 {
                for number in 0..<10 {
                    let (id, attempt) = ("account-\(number)", "attempt-\(round)-\(number)")
                    _ = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 1], hold: .seconds(30))
                    _ = try await fixture.store.begin(
                        BeginRequest(
                            account: try AccountID(id), provider: StoreFixture.provider,
                            demand: .newerThan(Generation(Int64(round))), attempt: AttemptID(rawValue: attempt),
                            origin: StoreFixture.instance, lockTTL: .seconds(30), failoverHold: .milliseconds(1)))
                    _ = try await fixture.commit(id, attempt, generation: Int64(round))
                    _ = try await fixture.account(id)
                }
                _ = try await fixture.leases.renew(StoreFixture.instance, epoch: 1, ttl: .seconds(60))
            }
            let client = counted() - clientBefore
            let server = difference(try await commands(fixture), serverBefore)
            // INFO inside BEGIN is left out on both sides, for the measurement sends it too.
            let total = server.values.reduce(0, +)
            #expect(total > 400)
            #expect(abs(client - total) * 10 <= total, "\(client) counted, \(total) executed: \(server)")
        }
    }

    @Test func theAlertIsAnEvent() async throws {
        try await hosted { fixture in
            try await RedisBudgetLog(link: fixture.link).overBudget(
                forecast: 20_000, budget: 16_000, instance: StoreFixture.instance)
            let reply = try await fixture.redis("XRANGE", fixture.link.keys.events(0), "-", "+")
            let fields = try #require(reply.array?.last?.array?.last?.array).map { $0.string ?? "" }
            #expect(
                Array(fields.dropFirst(2)) == [
                    "type", "store.command_budget", "forecast", "20000", "budget", "16000", "instance", "instance-1",
                ])
        }
    }
}
