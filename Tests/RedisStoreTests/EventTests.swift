import RedisClient
import RedisStore
import RefreshCore
import Testing

/// What goes into the stream of events, on a real redis-server: one for each change of a state.
@Suite(.timeLimit(.minutes(10)))
struct EventTests {
    private func events(_ fixture: StoreFixture) async throws -> [FleetEvent] {
        try await RedisEventStream(link: fixture.link).read(0, after: .start, limit: 1000).events
    }

    private func types(_ fixture: StoreFixture, besides: String = "account.added") async throws -> [String] {
        try await events(fixture).map(\.type).filter { $0 != besides }
    }

    private func fail(
        _ fixture: StoreFixture, _ attempt: String, kind: RefreshFault.Kind,
        _ disposition: SettleRequest.Disposition = .released
    ) async throws {
        let generation = try #require(try await fixture.account("a")).generation
        _ = try await fixture.begin("a", attempt, ignoresBackoff: true)
        _ = try await fixture.settle("a", attempt, generation: generation.rawValue, disposition, kind: kind)
    }

    @Test(arguments: [false, true]) func failingIsToldOnceAndSoIsItsEnd(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            try await fixture.add("a")
            for number in 1...3 { try await fail(fixture, "attempt-\(number)", kind: .unsent) }
            #expect(try await types(fixture) == ["token.refresh_failed"])
            // The provider's own faults are none of the account's, and do not hide that it was failing.
            try await fail(fixture, "attempt-4", kind: .misconfigured)
            try await fail(fixture, "attempt-5", kind: .throttled)
            try await fail(fixture, "attempt-6", kind: .unsent)
            #expect(try await types(fixture) == ["token.refresh_failed", "provider.misconfigured"])
            _ = try await fixture.begin("a", "attempt-7", ignoresBackoff: true)
            #expect(try await fixture.commit("a", "attempt-7", generation: 1) == .committed(enabled: true))
            let refreshed = isFrugal ? [] : ["token.refreshed"]
            #expect(
                try await types(fixture)
                    == ["token.refresh_failed", "provider.misconfigured"] + refreshed
                    + ["token.refresh_recovered", "provider.recovered"])
            let recovered = try #require(try await events(fixture).first { $0.type == "token.refresh_recovered" })
            #expect(recovered["cause"] == "unsent")
            #expect(recovered["generation"] == "2")
            #expect(recovered.account?.rawValue == "a" && recovered.provider == StoreFixture.provider)
            // All is well, so nothing more is said.
            _ = try await fixture.begin("a", "attempt-8", ignoresBackoff: true)
            _ = try await fixture.commit("a", "attempt-8", generation: 2)
            #expect(try await types(fixture, besides: "token.refreshed").count == 5)
        }
    }

    @Test func anotherCauseIsAnotherEvent() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            try await fail(fixture, "attempt-1", kind: .unsent)
            try await fail(fixture, "attempt-2", kind: .ambiguous, .unresolved)
            let causes = try await events(fixture).filter { $0.type == "token.refresh_failed" }.map { $0["cause"] }
            #expect(causes == ["unsent", "ambiguous"])
        }
    }

    @Test func causesThatAlternateAreToldOnceEachUntilItWorks() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            func causes() async throws -> [String?] {
                try await events(fixture).filter { $0.type == "token.refresh_failed" }.map { $0["cause"] }
            }
            for round in 1...3 {
                try await fail(fixture, "unsent-\(round)", kind: .unsent)
                try await fail(fixture, "unknown-\(round)", kind: .outcomeUnknown)
            }
            #expect(try await causes() == ["unsent", "outcome_unknown"])
            _ = try await fixture.begin("a", "works", ignoresBackoff: true)
            _ = try await fixture.commit("a", "works", generation: 1)
            let recovered = try #require(try await events(fixture).first { $0.type == "token.refresh_recovered" })
            #expect(recovered["cause"] == "outcome_unknown")
            try await fail(fixture, "again", kind: .unsent)
            #expect(try await causes() == ["unsent", "outcome_unknown", "unsent"])
        }
    }

    @Test func aDeadAccountIsToldOnceAndItsNewCredentialsEndTheMatter() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            try await fail(fixture, "attempt-1", kind: .unsent)
            try await fail(fixture, "attempt-2", kind: .refused, .refused)
            _ = try await fixture.settle("a", "attempt-2", generation: 1, .refused, kind: .refused)
            try await fixture.add("a", refresh: "refresh-new")
            _ = try await fixture.begin("a", "attempt-3")
            _ = try await fixture.commit("a", "attempt-3", generation: 2)
            #expect(
                try await types(fixture) == [
                    "token.refresh_failed", "account.reauthorization_required", "account.reauthorized",
                    "token.refreshed",
                ])
            try await fail(fixture, "attempt-4", kind: .unsent)
            #expect(try await types(fixture).last == "token.refresh_failed", "a new failing is news again")
        }
    }

    /// Three instances meet the same fault with many accounts.
    @Test func aMisconfiguredProviderIsToldOncePerFleet() async throws {
        try await StoreFixture.run(partitions: 8) { fixture in
            let stores = try (1...3).map {
                RedisAccountStore(link: fixture.link, origin: try InstanceID("instance-\($0)"))
            }
            func settle(_ number: Int, generation: Int64) async throws {
                let (id, attempt) = ("account-\(number)", "attempt-\(number)-\(generation)")
                _ = try await fixture.begin(id, attempt, ignoresBackoff: true)
                _ = try await stores[number % 3].settle(
                    SettleRequest(
                        account: try AccountID(id), provider: StoreFixture.provider,
                        attempt: AttemptID(rawValue: attempt), generation: Generation(generation),
                        disposition: .released,
                        fault: RefreshFault(kind: .misconfigured, message: "invalid_client"), retryAfter: .zero,
                        health: .failing))
            }
            for number in 0..<30 {
                try await fixture.add("account-\(number)")
                try await settle(number, generation: 1)
            }
            var all: [FleetEvent] = []
            func look() async throws {
                all = []
                for partition in 0..<8 {
                    all += try await RedisEventStream(link: fixture.link)
                        .read(partition, after: .start, limit: 1000).events
                }
            }
            try await look()
            #expect(all.count { $0.type == "provider.misconfigured" } == 1)
            #expect(all.count { $0.type == "token.refresh_failed" } == 0)
            #expect(all.first { $0.type == "provider.misconfigured" }?["message"] == "invalid_client")
            // An instance that never met the fault itself has the first exchange that works.
            let other = RedisAccountStore(link: fixture.link, origin: try InstanceID("instance-4"))
            for number in 0..<5 {
                let (id, attempt) = (try AccountID("account-\(number)"), AttemptID(rawValue: "works-\(number)"))
                let reply = try await other.begin(
                    BeginRequest(
                        account: id, provider: StoreFixture.provider, demand: .newerThan(Generation(1)),
                        attempt: attempt,
                        origin: try InstanceID("instance-4"), lockTTL: .seconds(30), ignoresBackoff: true))
                let claim = try #require(reply.claim)
                let now = fixture.link.clock.wall()
                _ = try await other.commit(
                    CommitRequest(
                        claim: claim,
                        grant: TokenGrant(
                            accessToken: Secret("access"), refreshToken: nil, tokenType: "Bearer",
                            expiresAt: now + .seconds(3600)),
                        obtainedAt: now, dueAt: now + .seconds(3000)))
            }
            try await look()
            #expect(all.count { $0.type == "provider.recovered" } == 1)
            #expect(all.count { $0.type == "token.refresh_recovered" } == 0)
            // The next time is told again, also by an instance that has told before.
            try await settle(7, generation: 1)
            try await settle(0, generation: 2)
            try await look()
            #expect(all.count { $0.type == "provider.misconfigured" } >= 1)
        }
    }

    @Test func anInstanceThatToldOfAFaultTellsOfTheNextOneToo() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            for generation in 1...2 as ClosedRange<Int64> {
                try await fail(fixture, "bad-\(generation)", kind: .misconfigured)
                _ = try await fixture.begin("a", "good-\(generation)", ignoresBackoff: true)
                _ = try await fixture.commit("a", "good-\(generation)", generation: generation)
            }
            let provider = try await types(fixture).filter { $0.hasPrefix("provider.") }
            #expect(
                provider == [
                    "provider.misconfigured", "provider.recovered", "provider.misconfigured", "provider.recovered",
                ])
        }
    }

    private func commit(_ store: RedisAccountStore, _ fixture: StoreFixture, _ attempt: String, generation: Int64)
        async throws -> CommitReply
    {
        let now = try await fixture.now()
        return try await store.commit(
            CommitRequest(
                account: AccountID("a"), provider: StoreFixture.provider, attempt: AttemptID(rawValue: attempt),
                generation: Generation(generation), accessToken: Secret("at"), refreshToken: Secret("rt"),
                tokenType: "Bearer", expiresAt: now + .seconds(3600), obtainedAt: now, dueAt: now + .seconds(3000),
                isRecovery: false))
    }

    /// The instance that committed is gone, or its reply was, before it could tell the fleet.
    @Test(arguments: [true, false]) func thatAProviderWorksIsToldThoughTheFirstToKnowIsGone(isRepeated: Bool)
        async throws
    {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            try await fail(fixture, "bad", kind: .misconfigured)
            _ = try await fixture.begin("a", "good-1", ignoresBackoff: true)
            _ = try await fixture.redis("ACL", "SETUSER", "default", "-hdel")
            let gone = RedisAccountStore(link: fixture.link, origin: try InstanceID("gone"))
            #expect(try await commit(gone, fixture, "good-1", generation: 1) == .committed(enabled: true))
            _ = try await fixture.redis("ACL", "SETUSER", "default", "+hdel")
            #expect(try await types(fixture).contains("provider.recovered") == false)
            let other = RedisAccountStore(link: fixture.link, origin: try InstanceID("other"))
            if isRepeated {
                #expect(try await commit(other, fixture, "good-1", generation: 1) == .already)
            } else {
                _ = try await fixture.begin("a", "good-2", ignoresBackoff: true)
                #expect(try await commit(other, fixture, "good-2", generation: 2) == .committed(enabled: true))
            }
            #expect(try await types(fixture).last == "provider.recovered")
        }
    }

    @Test func aLeaderIsToldWhenItChanges() async throws {
        try await StoreFixture.run { fixture in
            let log = RedisEventLog(link: fixture.link)
            let (one, two) = (try InstanceID("one"), try InstanceID("two"))
            #expect(try await log.leaderChanged(to: one, epoch: 1))
            #expect(try await log.leaderChanged(to: one, epoch: 1) == false, "told again after a lost reply")
            #expect(try await log.leaderChanged(to: one, epoch: 2) == false, "it has its own lease back")
            #expect(try await log.leaderChanged(to: two, epoch: 3))
            #expect(try await log.leaderChanged(to: one, epoch: 2) == false, "late news are no news")
            let events = try await events(fixture)
            #expect(events.map { $0["instance"] } == ["one", "two"])
            #expect(events.map { $0["epoch"] } == ["1", "3"])
            #expect(events.map { $0["previous"] } == [nil, "one"])
        }
    }

    @Test func anOutageIsToldOnceHoweverManySawIt() async throws {
        try await StoreFixture.run { fixture in
            let log = RedisEventLog(link: fixture.link)
            for number in 1...5 {
                let told = try await log.storeWasAway(
                    for: .seconds(30 + number), reason: "connection refused", instance: try InstanceID("i-\(number)"))
                #expect(told == (number == 1))
            }
            let events = try await events(fixture)
            #expect(events.map(\.type) == ["store.degraded", "store.recovered"])
            let (since, until) = (
                try #require(events[1]["since"].flatMap { Int64($0) }),
                try #require(events[1]["until"].flatMap { Int64($0) })
            )
            #expect(until - since == 31_000)
            // One that was over long before is another one.
            _ = try await fixture.redis(
                "HSET", fixture.link.keys.fleet, "outage", "\(since - 900_000) \(since - 600_000)")
            #expect(try await log.storeWasAway(for: .seconds(5), reason: "x", instance: StoreFixture.instance))
        }
    }

    @Test func eventsThatNoAccountAnnouncesWakeTheLeader() async throws {
        try await StoreFixture.run { fixture in
            var signals = RedisChangeFeed(link: fixture.link).signals().makeAsyncIterator()
            #expect(await signals.next() == .connected)
            let before = fixture.link.clock.wall()
            try await RedisEventLog(link: fixture.link).append("pool.exhausted", [.init("pool", "shared")])
            let after = fixture.link.clock.wall()
            #expect(await signals.next() == .eventsAppended(partition: 0))
            let event = try #require(try await events(fixture).first)
            #expect(event.type == "pool.exhausted" && event["pool"] == "shared")
            #expect(before <= event.at && event.at <= after)
            try await fixture.add("a")
            _ = await signals.next()
            try await fail(fixture, "attempt-1", kind: .unsent)
            #expect(await signals.next() == .eventsAppended(partition: 0))
        }
    }

    // MARK: Reading

    @Test func theStreamIsReadFromAPlaceAndSaysWhatWasCut() async throws {
        try await StoreFixture.run { fixture in
            let stream = RedisEventStream(link: fixture.link)
            #expect(try await stream.extent(0) == EventStreamExtent(last: .start, length: 0, appended: 0))
            let log = RedisEventLog(link: fixture.link)
            for number in 1...5 { try await log.append("account.paused", [.init("account", "a\(number)")]) }
            let all = try await events(fixture)
            #expect(all.map { $0["account"] } == (1...5).map { "a\($0)" })
            #expect(try await stream.extent(0) == EventStreamExtent(last: all[4].position, length: 5, appended: 5))
            let page = try await stream.read(0, after: all[1].position, limit: 2)
            #expect(page.events.map(\.position) == [all[2].position, all[3].position])
            #expect(!page.isLast && !page.mayHaveGap)
            #expect(
                try await stream.read(0, after: all[4].position, limit: 2)
                    == EventPage(events: [], mayHaveGap: false, isLast: true))
            _ = try await fixture.redis("XTRIM", fixture.link.keys.events(0), "MAXLEN", 2)
            let later = try await stream.read(0, after: all[1].position, limit: 10)
            #expect(later.events.count == 2 && later.mayHaveGap && later.isLast)
            #expect(try await stream.extent(0).cut == 3)
            #expect(
                try await stream.read(0, at: [all[0].position, all[3].position]).map(\.position) == [all[3].position])
        }
    }

    /// Not every hosted service knows XINFO.
    @Test func aServerThatDoesNotKnowXINFOIsReadAllTheSame() async throws {
        try await StoreFixture.run { fixture in
            let stream = RedisEventStream(link: fixture.link)
            _ = try await fixture.redis("ACL", "SETUSER", "default", "-xinfo")
            #expect(try await stream.extent(0) == EventStreamExtent(last: .start, length: 0, appended: nil))
            let log = RedisEventLog(link: fixture.link)
            for number in 1...3 { try await log.append("account.paused", [.init("account", "a\(number)")]) }
            let last = try #require(try await events(fixture).last)
            #expect(try await stream.extent(0) == EventStreamExtent(last: last.position, length: 3, appended: nil))
        }
    }

    @Test func whatAnotherProgramPutThereStopsNothing() async throws {
        try await StoreFixture.run { fixture in
            let key = fixture.link.keys.events(0)
            _ = try await fixture.redis("XADD", key, "*", "what", "this")
            _ = try await fixture.redis("XADD", key, "*", "at", "tomorrow", "type", "account.paused")
            let events = try await events(fixture)
            #expect(events.map(\.type) == ["unknown", "account.paused"])
            #expect(abs((events[1].at - fixture.link.clock.wall()).wholeMilliseconds) < 60_000)
        }
    }

    // MARK: Redis away

    @Test func anOutageIsWatchedUntilWritesWorkAgain() async throws {
        try await StoreFixture.runBehindProxy { fixture, proxy in
            #expect(fixture.link.outages.current == nil)
            try await fixture.add("a")
            #expect(fixture.link.outages.current == nil)
            _ = try await fixture.redis("CONFIG", "SET", "maxmemory", "1")
            _ = try? await fixture.add("b")
            let outage = try #require(fixture.link.outages.current)
            #expect(outage.partitions == [0])
            #expect(outage.reason.contains("OOM"))
            #expect(await fixture.link.takesWrites(0) == false)
            _ = try await fixture.redis("CONFIG", "SET", "maxmemory", "0")
            #expect(await fixture.link.takesWrites(0))
            _ = proxy
        }
    }
}
