import RefreshCore
import Testing

@Suite("Approaching a provider with care", .timeLimit(.minutes(10)))
struct CautionTests {
    private let start = MonotonicTime(nanoseconds: 1)

    private func crowd(_ limiter: ExchangeLimiter, _ body: () async throws -> Void) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<40 {
                group.addTask {
                    await limiter.acquire(acme, limit: 16, isCautious: true, now: MonotonicTime(nanoseconds: 1))
                }
            }
            try await eventually("all have come") { limiter.inUse(acme) + limiter.waiting(acme) == 40 }
            try await body()
            for _ in 0..<40 {
                limiter.noted(.answering, by: acme, now: start)
                limiter.release(acme)
            }
        }
    }

    @Test("few at first, one more with each answer, never more than the limit")
    func opens() async throws {
        let limiter = ExchangeLimiter()
        try await crowd(limiter) {
            #expect(limiter.inUse(acme) == 4)
            for answers in 1...20 {
                limiter.noted(.answering, by: acme, now: start)
                #expect(limiter.inUse(acme) == min(16, 4 + answers))
            }
            limiter.noted(.unknown, by: acme, now: start)
            #expect(limiter.inUse(acme) == 16)
        }
    }

    @Test("a provider that fails from the beginning gets five refresh tokens from an instance before it is paused")
    func closes() async throws {
        let limiter = ExchangeLimiter()
        var failures = 0
        try await crowd(limiter) {
            var sent = limiter.inUse(acme)
            while failures < 5 {
                failures += 1
                limiter.noted(.failing, by: acme, now: start)
                let before = limiter.inUse(acme)
                limiter.release(acme)
                sent += limiter.inUse(acme) - (before - 1)
            }
            #expect(sent <= 6)
        }
    }

    @Test("after a rest it is as at first")
    func forgets() async throws {
        let limiter = ExchangeLimiter()
        await limiter.acquire(acme, limit: 16, isCautious: true, now: start)
        for _ in 0..<20 { limiter.noted(.answering, by: acme, now: start) }
        limiter.release(acme)
        let later = start + .seconds(61)
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<10 {
                group.addTask { await limiter.acquire(acme, limit: 16, isCautious: true, now: later) }
            }
            try await eventually("all have come") { limiter.inUse(acme) + limiter.waiting(acme) == 10 }
            #expect(limiter.inUse(acme) == 4)
            for _ in 0..<10 { limiter.release(acme) }
        }
    }
}
