import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("The rate limit of a provider")
struct RateBucketTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    @Test(
        "no span of the given length sees more than the limit, whoever comes and when",
        arguments: [
            RateLimit(requests: 30, per: .seconds(60)), RateLimit(requests: 1, per: .seconds(10)),
            RateLimit(requests: 60, per: .seconds(60), burst: 20), RateLimit(requests: 5, per: .seconds(1), burst: 5),
            RateLimit(requests: 1000, per: .seconds(1)), RateLimit(requests: 7, per: .seconds(3600), burst: 3),
        ])
    func neverMore(limit: RateLimit) {
        for seed in 1...20 as ClosedRange<UInt64> {
            var generator = SplitMix64(seed: seed)
            var bucket = RateBucket()
            var now = start
            var taken: [WallTime] = []
            for _ in 0..<2000 {
                // Crowds and rests.
                if Int.random(in: 0..<3, using: &generator) == 0 {
                    let span = limit.per.wholeMilliseconds / Int64(limit.requests)
                    now = now + .milliseconds(Int64.random(in: 0...(span * 3), using: &generator))
                }
                let isUrgent = Bool.random(using: &generator)
                if bucket.take(limit, now: now, isUrgent: isUrgent) == .taken { taken.append(now) }
            }
            var first = 0
            var most = 0
            for last in taken.indices {
                while taken[last] - taken[first] >= limit.per { first += 1 }
                most = max(most, last - first + 1)
            }
            #expect(most <= limit.requests, "seed \(seed): \(most) in one span")
            #expect(taken.count > 10 || limit.requests < 10)
        }
    }

    @Test("nine tenths of the rate are to be had evenly")
    func isUsable() {
        let limit = RateLimit(requests: 60, per: .seconds(60))
        var bucket = RateBucket()
        var taken = 0
        for second in 0..<600 where bucket.take(limit, now: start + .seconds(second), isUrgent: false) == .taken {
            taken += 1
        }
        #expect(taken >= 540)
        #expect(limit.burst == 6)
        #expect(RateLimit(requests: 5, per: .seconds(1)).burst == 1)
        #expect(RateLimit(requests: 5, per: .seconds(1), burst: 99).burst == 5)
    }

    @Test("callers who wait are promised one slot each, in a row, and those whose tokens last come after them")
    func promises() throws {
        let limit = RateLimit(requests: 60, per: .seconds(60), burst: 1)
        var bucket = RateBucket()
        #expect(bucket.take(limit, now: start, isUrgent: true) == .taken)
        var slots: [WallTime] = []
        for _ in 0..<10 {
            guard case .wait(let until, true) = bucket.take(limit, now: start, isUrgent: true) else {
                Issue.record("no promise")
                return
            }
            slots.append(until)
        }
        #expect(slots == (1...10).map { start + .seconds($0) })
        guard case .wait(let proactive, false) = bucket.take(limit, now: start, isUrgent: false) else {
            Issue.record("a token that lasts went before those who wait")
            return
        }
        #expect(proactive == start + .seconds(11))
        // Each promise is kept, although the schedule asks again and again.
        for slot in slots {
            #expect(bucket.take(limit, now: slot - .milliseconds(1), isUrgent: false) != .taken)
            #expect(bucket.take(limit, now: slot, isUrgent: true) == .taken)
        }
        #expect(bucket.take(limit, now: proactive, isUrgent: false) == .taken)
    }

    @Test("nothing is promised further ahead than a flight waits")
    func endsPromises() {
        let limit = RateLimit(requests: 2, per: .seconds(100), burst: 1)
        var bucket = RateBucket()
        #expect(bucket.take(limit, now: start, isUrgent: true) == .taken)
        #expect(
            bucket.take(limit, now: start, isUrgent: true) == .wait(until: start + .seconds(50), isPromised: true))
        guard case .wait(let until, let isPromised) = bucket.take(limit, now: start, isUrgent: true) else {
            Issue.record("taken")
            return
        }
        #expect(!isPromised && until == start + .seconds(100))
    }

    @Test("a clock that was set back, and another limit, do not shut the provider out")
    func heals() {
        let limit = RateLimit(requests: 10, per: .seconds(10), burst: 1)
        var bucket = RateBucket()
        for _ in 0..<3 { _ = bucket.take(limit, now: start, isUrgent: true) }
        #expect(bucket.take(limit, now: start - .seconds(3600), isUrgent: false) == .taken)
        var slow = RateBucket()
        #expect(slow.take(RateLimit(requests: 1, per: .seconds(86_400)), now: start, isUrgent: false) == .taken)
        #expect(slow.take(limit, now: start + .seconds(1), isUrgent: false) == .taken)
    }
}

@Suite("The circuit breaker of a provider")
struct CircuitBreakerTests {
    @Test("pauses grow up to the cap, and jitter never makes them nothing")
    func grows() {
        let breaker = CircuitBreaker(failures: 5, cap: .seconds(300))
        for trips in 0...40 {
            let (least, most) = (breaker.pause(trips: trips, jitter: 0), breaker.pause(trips: trips, jitter: 1000))
            #expect(least == .seconds(5))
            #expect(most == min(.seconds(300), .seconds(10) * (1 << min(trips, 20))))
        }
        #expect(CircuitBreaker(cap: .seconds(2)).pause(trips: 9, jitter: 1000) == .seconds(2))
    }
}

@Suite("The pace at which a provider with a rate limit is asked ahead of expiry")
struct PaceTests {
    @Test("one by one at even distances, with the next start told")
    func paces() throws {
        let limit = RateLimit(requests: 60, per: .seconds(60), burst: 1)
        let policies = ModelPolicies(.test { $0.rateLimit = limit })
        var backlog = Backlog()
        for number in 0..<20 {
            backlog.add(DueAccount(account: try AccountID("account-\(number)"), provider: acme))
        }
        let start = MonotonicTime(nanoseconds: 0)
        #expect(backlog.startable(policies, limit: 100, now: start).count <= 2)
        var started = 0
        var now = start
        for _ in 0..<100 {
            guard let next = backlog.nextStart(policies, limit: 100), next < start + .seconds(11) else { break }
            now = max(now, next)
            started += backlog.startable(policies, limit: 100, now: now).count
        }
        #expect((9...11).contains(started))
        #expect(backlog.nextStart(policies, limit: 100).map { $0 > now } == true)
    }

    @Test("a paused provider holds back what waits, until its time or a change")
    func holdsBack() throws {
        let policies = ModelPolicies(.test())
        var backlog = Backlog()
        let alice = DueAccount(account: try AccountID("alice"), provider: acme)
        backlog.add(alice)
        let start = MonotonicTime(nanoseconds: 0)
        let wall = WallTime(milliseconds: 1_800_000_000_000)
        let failure = RefreshFailure(.providerUnavailable, "502", retryAt: wall + .seconds(30), isHeldBack: true)
        let until = try #require(Backlog.holdBack(after: .failed(failure, nil), now: start, wall: wall))
        #expect(until == start + .seconds(30))
        var own = failure
        own.isHeldBack = false
        #expect(Backlog.holdBack(after: .failed(own, nil), now: start, wall: wall) == nil)
        backlog.holdBack(acme, until: until)
        #expect(backlog.startable(policies, limit: 10, now: start + .seconds(29)).isEmpty)
        #expect(backlog.wanted(policies, limit: 10, now: start + .seconds(29)).isEmpty)
        #expect(backlog.nextStart(policies, limit: 10) == until)
        var changed = backlog
        changed.letGo()
        #expect(changed.startable(policies, limit: 10, now: start) == [alice])
        #expect(backlog.startable(policies, limit: 10, now: until) == [alice])
    }
}
