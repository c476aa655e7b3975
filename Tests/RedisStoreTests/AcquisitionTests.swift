import RedisClient
import RedisStore
import RefreshCore
import Testing

/// Runs of acquisition chains against a real redis-server: one at a time, spaced, counted.
@Suite(.timeLimit(.minutes(10)))
struct AcquisitionTests {
    private let pool = try! PoolName("warp")
    private let one = AttemptID(rawValue: "one")
    private let two = AttemptID(rawValue: "two")

    private func limits(perDay: Int = 10, interval: Duration = .milliseconds(1)) throws -> AcquisitionLimits {
        AcquisitionLimits(
            tier: try TierName("anonymous"), maxPerDay: perDay, minInterval: interval, longestRun: .seconds(600))
    }

    /// Of the server, in UTC.
    private func day(_ fixture: StoreFixture) async throws -> Int64 {
        try await fixture.now().milliseconds / 86_400_000
    }

    private func isUnderWay(_ permit: AcquisitionPermit) -> Bool {
        if case .underWay = permit { true } else { false }
    }

    @Test func oneRunAtATime() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits()
            let claimed = try await fixture.timed { try await store.claim(pool, attempt: one, limits: limits) }
            #expect(claimed.value == .granted)
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted, "its reply was lost")
            guard case .underWay(let until) = try await store.claim(pool, attempt: two, limits: limits) else {
                Issue.record("a second run was not kept out")
                return
            }
            #expect(
                claimed.times.later(by: .seconds(630)).contains(until), "as long as a run can take, storing included")
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
            let claimed = try await fixture.timed { try await store.claim(pool, attempt: one, limits: limits) }
            #expect(claimed.value == .granted)
            try await store.finish(pool, attempt: one, error: nil, retryAfter: nil)
            guard case .notBefore(let time, _) = try await store.claim(pool, attempt: two, limits: limits) else {
                Issue.record("the second run came too soon")
                return
            }
            #expect(claimed.times.later(by: .seconds(3600)).contains(time))
        }
    }

    @Test func runsAreCountedByTheDay() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits(perDay: 2)
            let key = fixture.link.keys.acquisition(pool)
            let runs = [("a", continues: false), ("b", false), ("one too many", false), ("c", true)]
            var (permits, count, today) = ([AcquisitionPermit](), Int64?.none, Int64?.none)
            // Once more where midnight came in between.
            while try await today != day(fixture) {
                _ = try await fixture.redis("DEL", key)
                (permits, today) = ([], try await day(fixture))
                for (name, continues) in runs {
                    let attempt = AttemptID(rawValue: name)
                    permits.append(
                        try await store.claim(pool, attempt: attempt, limits: limits, continues: continues))
                    try await store.finish(pool, attempt: attempt, error: nil, retryAfter: nil)
                    try await Task.sleep(for: .milliseconds(5))
                }
                count = try await fixture.redis("HGET", key, "count").int
            }
            let midnight = WallTime(milliseconds: (try #require(today) + 1) * 86_400_000)
            // One that was counted when it began may be gone on with, and is not counted again.
            #expect(permits == [.granted, .granted, .usedUp(until: midnight), .granted])
            #expect(count == 2)
            // Yesterday's do not count.
            _ = try await fixture.redis("HSET", key, "day", "\(try #require(today) - 1)")
            #expect(try await store.claim(pool, attempt: two, limits: limits) == .granted)
        }
    }

    @Test func failuresPutTheNextRunOffFurtherAndFurther() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisAcquisitionStore(link: fixture.link)
            let limits = try limits(perDay: 100)
            let key = fixture.link.keys.acquisition(pool)
            for (number, wait) in [60, 120, 240, 480, 960, 1920, 3600, 3600].enumerated() {
                let attempt = AttemptID(rawValue: "failing-\(number)")
                #expect(try await store.claim(pool, attempt: attempt, limits: limits) == .granted)
                let failed = try await fixture.timed {
                    try await store.finish(pool, attempt: attempt, error: "step a: HTTP 403", retryAfter: .seconds(60))
                }
                let permit = try await store.claim(pool, attempt: two, limits: limits)
                guard case .notBefore(let time, let reason) = permit else {
                    Issue.record("a run right after a failure")
                    return
                }
                #expect(reason == "step a: HTTP 403")
                #expect(failed.times.later(by: .seconds(wait)).contains(time))
                _ = try await fixture.redis("HSET", key, "next_at", "0")
            }
            // What works again starts anew.
            #expect(try await store.claim(pool, attempt: one, limits: limits) == .granted)
            try await store.finish(pool, attempt: one, error: nil, retryAfter: nil)
            #expect(try await fixture.redis("HGET", key, "failures") == .null)
        }
    }
}
