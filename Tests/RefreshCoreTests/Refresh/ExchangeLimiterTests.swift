import NIOConcurrencyHelpers
import RefreshCore
import Testing

@Suite("Bounding the exchanges under way", .timeLimit(.minutes(10)))
struct ExchangeLimiterTests {
    private final class Gauge: Sendable {
        private let state = NIOLockedValueBox((now: 0, peak: 0, served: 0))
        func enter() {
            state.withLockedValue {
                $0.now += 1
                $0.peak = max($0.peak, $0.now)
            }
        }
        func leave() {
            state.withLockedValue {
                $0.now -= 1
                $0.served += 1
            }
        }
        var peak: Int { state.withLockedValue { $0.peak } }
        var served: Int { state.withLockedValue { $0.served } }
    }

    private final class Order: Sendable {
        private let state = NIOLockedValueBox<[Int]>([])
        func append(_ number: Int) { state.withLockedValue { $0.append(number) } }
        var numbers: [Int] { state.withLockedValue { $0 } }
    }

    @Test("a thousand tasks: never more than the limit at once, all served, nothing left over")
    func bound() async {
        let limiter = ExchangeLimiter()
        let gauge = Gauge()
        await withDiscardingTaskGroup { group in
            for _ in 0..<1000 {
                group.addTask {
                    await limiter.acquire(acme, limit: 7)
                    gauge.enter()
                    await Task.yield()
                    gauge.leave()
                    limiter.release(acme)
                }
            }
        }
        #expect(gauge.peak <= 7)
        #expect(gauge.served == 1000)
        #expect(limiter.inUse(acme) == 0)
    }

    @Test("who came first is served first, however long the queue")
    func firstInFirstOut() async throws {
        let limiter = ExchangeLimiter()
        await limiter.acquire(acme, limit: 1)
        let order = Order()
        let arrived = Counter()
        try await withThrowingDiscardingTaskGroup { group in
            for number in 0..<300 {
                group.addTask {
                    arrived.add()
                    await limiter.acquire(acme, limit: 1)
                    order.append(number)
                    limiter.release(acme)
                }
                // One after the other: each has to be in the queue before the next arrives.
                try await eventually("task \(number) arrives") { limiter.waiting(acme) == number + 1 }
            }
            limiter.release(acme)
        }
        #expect(order.numbers == Array(0..<300))
        #expect(arrived.value == 300)
    }

    @Test("providers do not wait for each other, and a limit below one counts as one")
    func lanes() async {
        let limiter = ExchangeLimiter()
        let other = ProviderFixture.name("other")
        await limiter.acquire(acme, limit: 0)
        await limiter.acquire(other, limit: -3)
        #expect(limiter.inUse(acme) == 1)
        #expect(limiter.inUse(other) == 1)
        limiter.release(acme)
        limiter.release(ProviderFixture.name("never-used"))
        #expect(limiter.inUse(acme) == 0)
    }
}
