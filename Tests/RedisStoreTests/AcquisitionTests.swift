import RedisClient
import RedisStore
import RefreshCore
import Testing

/// Runs of acquisition chains against a real redis-server: one at a time, spaced, counted.
@Suite(.timeLimit(.minutes(2)))
struct AcquisitionTests {
    private let pool = try! PoolName("warp")
    private let one = AttemptID(rawValue: "one")
    private let two = AttemptID(rawValue: "two")

    private func limits(perDay: Int = 10, interval: Duration = .milliseconds(1)) throws -> AcquisitionLimits {
        AcquisitionLimits(
            tier: try TierName("anonymous"), maxPerDay: perDay, minInterval: interval, longestRun: .seconds(10))
    }

    private func isUnderWay(_ permit: AcquisitionPermit) -> Bool {
        if case .underWay = permit { true } else { false }
    }

    @Test func oneRunAtATime() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits()
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted, "its reply was lost")
            guard case .underWay(let until) = try await store.claim(pool, attempt: two, limits: limits) else {
                Issue.record("a second run was not kept out")
                return
            }
            let left = until - (try await fixture.now())
            #expect(left > .seconds(35) && left <= .seconds(40), "as long as a run can take, storing included")
            // Another pool has nothing to do with it.
            #expect(try await store.claim(try PoolName("other"), attempt: two, limits: limits) == .granted)
            // Nobody ends what is not his.
            try await store.finish(pool, attempt: two, error: nil, retryAfter: nil)
            #expect(isUnderWay(try await store.claim(pool, attempt: two, limits: limits)))
            try await store.finish(pool, attempt: one, error: nil, retryAfter: nil)
            #expect(try await store.claim(pool, attempt: two, limits: limits) == .granted)
        }
    }

    @Test func aRunThatDiedKeepsOthersOutOnlyForItsTime() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits()
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
            _ = try await fixture.redis("HSET", fixture.link.keys.acquisition(pool), "until", "1")
            #expect(try await store.claim(pool, attempt: two, limits: limits) == .granted)
            // Written by a clock that was set back since: no run takes a year.
            let year = try await fixture.now() + .seconds(366 * 86_400)
            let key = fixture.link.keys.acquisition(pool)
            _ = try await fixture.redis("HSET", key, "until", "\(year.milliseconds)", "next_at", "\(year.milliseconds)")
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
        }
    }

    @Test func runsAreSpaced() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits(interval: .seconds(3600))
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
            try await store.finish(pool, attempt: one, error: nil, retryAfter: nil)
            guard case .notBefore(let time, _) = try await store.claim(pool, attempt: two, limits: limits) else {
                Issue.record("the second run came too soon")
                return
            }
            let wait = time - (try await fixture.now())
            #expect(wait > .seconds(3590) && wait <= .seconds(3600))
        }
    }

    @Test func runsAreCountedByTheDay() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits(perDay: 2)
            for name in ["a", "b"] {
                let attempt = AttemptID(rawValue: name)
                #expect(try await store.claim(pool, attempt: attempt, limits: limits) == .granted)
                try await store.finish(pool, attempt: attempt, error: nil, retryAfter: nil)
                try await Task.sleep(for: .milliseconds(5))
            }
            guard case .usedUp(let until) = try await store.claim(pool, attempt: two, limits: limits) else {
                Issue.record("a third run was allowed")
                return
            }
            #expect(until.milliseconds % 86_400_000 == 0, "midnight, UTC")
            // One that was counted when it began may be gone on with, and is not counted again.
            let left = AttemptID(rawValue: "c")
            #expect(try await store.claim(pool, attempt: left, limits: limits, continues: true) == .granted)
            try await store.finish(pool, attempt: left, error: nil, retryAfter: nil)
            #expect(try await fixture.redis("HGET", fixture.link.keys.acquisition(pool), "count").int == 2)
            try await Task.sleep(for: .milliseconds(5))
            #expect(until > (try await fixture.now()))
            // Yesterday's do not count.
            let key = fixture.link.keys.acquisition(pool)
            let today = try await fixture.now().milliseconds / 86_400_000
            _ = try await fixture.redis("HSET", key, "day", "\(today - 1)")
            #expect(try await store.claim(pool, attempt: two, limits: limits) == .granted)
        }
    }

    @Test func failuresPutTheNextRunOffFurtherAndFurther() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits(perDay: 100)
            let key = fixture.link.keys.acquisition(pool)
            var waits: [Duration] = []
            for number in 1...8 {
                let attempt = AttemptID(rawValue: "failing-\(number)")
                #expect(try await store.claim(pool, attempt: attempt, limits: limits) == .granted)
                try await store.finish(pool, attempt: attempt, error: "step a: HTTP 403", retryAfter: .seconds(60))
                let permit = try await store.claim(pool, attempt: two, limits: limits)
                guard case .notBefore(let time, let reason) = permit else {
                    Issue.record("a run right after a failure")
                    return
                }
                #expect(reason == "step a: HTTP 403")
                waits.append(time - (try await fixture.now()))
                _ = try await fixture.redis("HSET", key, "next_at", "0")
            }
            for (wait, most) in zip(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]) {
                #expect(wait > .seconds(most - 5) && wait <= .seconds(most))
            }
            // What works again starts anew.
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
            try await store.finish(pool, attempt: one, error: nil, retryAfter: nil)
            #expect(try await fixture.redis("HGET", key, "failures") == .null)
        }
    }
}
