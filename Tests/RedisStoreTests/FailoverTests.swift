import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The failover watch against a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct FailoverTests {
    private static let hold = Duration.seconds(600)

    @Test func theFirstServerIsTrusted() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            #expect(try await fixture.begin("a", "attempt-1", failoverHold: Self.hold).word == "granted")
            #expect(try await FailoverWatch(link: fixture.link).look() == nil)
        }
    }

    /// A server that has been started anew has a new replication id, and may have lost the end of its data.
    @Test func aRestartedServerIsQuarantined() async throws {
        try await StoreFixture.run(.init(.unixSocket, directives: ["appendonly yes", "appendfsync always"])) {
            fixture in
            try await fixture.add("a")
            try await fixture.add("b")
            #expect(try await fixture.begin("a", "attempt-1", failoverHold: Self.hold).word == "granted")
            try await fixture.server.restart()
            // The command that finds out that the connection has ended loses its reply.
            while (try? await fixture.now()) == nil { try await Task.sleep(for: .milliseconds(10)) }

            let quarantined = try await fixture.timed {
                try await fixture.begin("b", "attempt-2", failoverHold: Self.hold)
            }
            guard case .quarantined(_, let until, let reason) = quarantined.value else {
                Issue.record("a claim was granted right after a restart")
                return
            }
            #expect(quarantined.times.later(by: Self.hold).contains(until))
            #expect(reason.contains("restarted"))
            // Whoever has the claim still is told so again, and brings its answer.
            #expect(try await fixture.begin("a", "attempt-1", failoverHold: Self.hold).word == "granted")
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
            // A token that is newer than what the caller has needs no claim.
            let fresh = try await fixture.begin(
                "a", "attempt-3", demand: .newerThan(Generation(1)), failoverHold: Self.hold)
            #expect(fresh.word == "fresh")
            let age = try #require(try await FailoverWatch(link: fixture.link).look())
            #expect(age >= .zero && age < .seconds(60))
            // The quarantine ends by itself.
            #expect(try await fixture.begin("b", "attempt-4", failoverHold: .milliseconds(1)).word == "granted")
        }
    }

    /// The server's clock was set back: the quarantine begins anew rather than lasting for an hour.
    @Test func aQuarantineThatBeginsInTheFutureBeginsNow() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1", failoverHold: Self.hold)
            let key = fixture.link.keys.pauses(0)
            let known = try #require(try await fixture.redis("HGET", key, ":server").string)
            let id = try #require(known.split(separator: " ").first)
            let inAnHour = try await fixture.now() + .seconds(3600)
            _ = try await fixture.redis("HSET", key, ":server", "\(id) \(inAnHour.milliseconds)")
            let age = try #require(try await FailoverWatch(link: fixture.link).look())
            #expect(age < .seconds(60))
        }
    }

    @Test func aStoreThatHasGoneBackGrantsNothingToWhoKnowsBetter() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            #expect(try await fixture.begin("a", "attempt-1", floor: 2).word == "rolled back")
            #expect(try await fixture.begin("a", "attempt-1", floor: 1).word == "granted")
        }
    }

    @Test func aStoredAnswerIsPutBackAndNeverDoesHarm() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            // Lost: the store is back at generation 1, without an intent.
            let restored = try await fixture.commit("a", "attempt-1", generation: 1, occasion: .again)
            #expect(restored == .committed(enabled: true))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1, occasion: .again) == .already)
            // Overtaken: it was in the store, so it is no orphan.
            _ = try await fixture.begin("a", "attempt-2")
            #expect(try await fixture.commit("a", "attempt-2", generation: 2) == .committed(enabled: true))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1, occasion: .again) == .already)
            #expect(try await fixture.commit("a", "attempt-0", generation: 1, occasion: .again) == .superseded)
            #expect(try await fixture.redis("LLEN", fixture.link.keys.orphans(AccountID("a"))).int == 0)
        }
    }

    @Test func anAnswerAheadOfTheStoreWaitsForTheGenerationsBetween() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            #expect(try await fixture.commit("a", "attempt-3", generation: 3) == .behind(Generation(1)))
            #expect(try await fixture.redis("LLEN", fixture.link.keys.orphans(AccountID("a"))).int == 0)
            // They do not come: it is kept, for a person.
            #expect(try await fixture.commit("a", "attempt-3", generation: 3, occasion: .last) == .orphaned)
            #expect(try await fixture.redis("LLEN", fixture.link.keys.orphans(AccountID("a"))).int == 1)
        }
    }
}
