import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The clock of Redis has been set back by an hour since something was written.
@Suite(.timeLimit(.minutes(10)))
struct ClockTests {
    private static let ahead = Duration.seconds(3600)

    /// As if the account had been written last by the clock ahead.
    private func write(_ fields: [String: WallTime], of id: String, _ fixture: StoreFixture) async throws {
        let key = try fixture.link.keys.account(AccountID(id))
        let inAnHour = try await fixture.now() + Self.ahead
        _ = try await fixture.redis("HSET", key, "updated_at", inAnHour.milliseconds)
        for (name, time) in fields { _ = try await fixture.redis("HSET", key, name, time.milliseconds) }
    }

    @Test func aBackOffUntilThenIsOver() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            let until = try await fixture.now() + Self.ahead + .seconds(10)
            _ = try await fixture.redis(
                "HSET", fixture.link.keys.account(AccountID("a")), "next_attempt_at", until.milliseconds)
            #expect(try await fixture.begin("a", "attempt-1").word == "cooling")
            try await write(["next_attempt_at": until], of: "a", fixture)
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
        }
    }

    @Test func aPauseUntilThenIsOver() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", dueIn: .zero)
            let soon = try await fixture.now() + .seconds(60)
            let key = fixture.link.keys.pauses(0)
            _ = try await fixture.redis("HSET", key, "acme", "\(soon.milliseconds) throttled too many requests")
            #expect(try await fixture.begin("a", "attempt-1").word == "paused")
            let later = soon + Self.ahead
            _ = try await fixture.redis("HSET", key, "acme", "\(later.milliseconds) throttled too many requests")
            // The schedule and the claim agree.
            let batch = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 5], hold: .seconds(30))
            #expect(batch.due.map(\.account.rawValue) == ["a"])
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
        }
    }

    @Test func aLockThatOutlivesEveryLockIsOverAndTheIntentStillStands() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1", lockTTL: .seconds(30))
            _ = try await fixture.redis("PEXPIRE", fixture.link.keys.lock(AccountID("a")), 3_620_000)
            #expect(try await fixture.begin("a", "attempt-2", lockTTL: .seconds(30)).word == "pending")
        }
    }

    /// Its age counts from the first look on, and nobody takes it for a fresh one inside its provider's grace.
    @Test func anIntentFromTheFutureAges() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.redis("DEL", fixture.link.keys.lock(AccountID("a")))
            let key = try fixture.link.keys.account(AccountID("a"))
            let inAnHour = (try await fixture.now() + Self.ahead).milliseconds
            _ = try await fixture.redis(
                "HSET", key, "intent", "v1 attempt-1 1 instance-1 open \(inAnHour) \(inAnHour) 0")
            guard case .pending(_, let intent, let age) = try await fixture.begin("a", "attempt-2") else {
                Issue.record("the intent was not seen")
                return
            }
            #expect(age == .zero)
            #expect(intent.firstAt == WallTime(milliseconds: 0))
            try await Task.sleep(for: .milliseconds(20))
            guard case .pending(_, _, let later) = try await fixture.begin("a", "attempt-3") else {
                Issue.record("the intent was not seen")
                return
            }
            #expect(later >= .milliseconds(20))
        }
    }
}
