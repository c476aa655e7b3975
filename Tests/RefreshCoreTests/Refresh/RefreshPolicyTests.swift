import RefreshCore
import Testing

@Suite("How a provider's accounts are refreshed")
struct RefreshPolicyTests {
    @Test("the defaults do not contradict each other")
    func defaults() {
        #expect(RefreshPolicy.test().contradiction == nil)
    }

    @Test("trap 3: a lock that could end before its exchange is a contradiction")
    func shortLock() {
        #expect(RefreshPolicy.test { $0.lockTTL = .seconds(23) }.contradiction == nil)
        let message = RefreshPolicy.test { $0.lockTTL = .milliseconds(22_999) }.contradiction
        #expect(message?.contains("lock_ttl") == true)
        #expect(RefreshPolicy.test { $0.exchangeDeadline = .seconds(60) }.contradiction?.contains("lock_ttl") == true)
    }

    @Test("a skew longer than the window is a contradiction")
    func longSkew() {
        #expect(RefreshPolicy.test { $0.skew = .seconds(300) }.contradiction == nil)
        #expect(RefreshPolicy.test { $0.skew = .seconds(301) }.contradiction?.contains("skew") == true)
    }

    @Test("short-lived tokens stay usable: a fifth for the skew, half for the window")
    func shortLives() {
        let policy = RefreshPolicy.test()
        #expect(policy.effectiveSkew(lifetime: nil) == .seconds(60))
        #expect(policy.effectiveSkew(lifetime: .seconds(3600)) == .seconds(60))
        #expect(policy.effectiveSkew(lifetime: .seconds(20)) == .seconds(4))
        #expect(policy.effectiveWindow(lifetime: nil) == .seconds(300))
        #expect(policy.effectiveWindow(lifetime: .seconds(3600)) == .seconds(300))
        #expect(policy.effectiveWindow(lifetime: .seconds(20)) == .seconds(10))
    }

    @Test("the due time lies in the window's jitter range, before expiry and spread out")
    func dueTimes() {
        let policy = RefreshPolicy.test()
        let now = WallTime(milliseconds: 1_800_000_000_000)
        for lifetime in [20, 60, 300, 900, 3600, 86400] {
            var generator = SplitMix64(seed: UInt64(lifetime))
            let expiry = now + .seconds(lifetime)
            let window = policy.effectiveWindow(lifetime: .seconds(lifetime))
            var seen: Set<WallTime> = []
            for _ in 0..<500 {
                let due = policy.dueTime(expiresAt: expiry, obtainedAt: now, using: &generator)
                if due > expiry - window || due < expiry - window - window / 5 || due <= now {
                    Issue.record("due \(due) for a life of \(lifetime) s")
                }
                seen.insert(due)
            }
            #expect(seen.count > 250)
        }
    }

    @Test("a token that had expired when it was obtained still gets a due time")
    func expiredOnArrival() {
        var generator = SplitMix64(seed: 1)
        let now = WallTime(milliseconds: 1_800_000_000_000)
        let due = RefreshPolicy.test().dueTime(expiresAt: now - .seconds(5), obtainedAt: now, using: &generator)
        #expect(due < now)
    }

    @Test("back-off grows with the failures, within its bounds, and leaves several tries before the token ends")
    func backoff() {
        let policy = RefreshPolicy.test()
        var generator = SplitMix64(seed: 1)
        for failures in [-1, 0, 1, 2, 5, 10, 64, .max] {
            for _ in 0..<30 {
                let free = policy.backoff(failures: failures, remaining: .zero, using: &generator)
                #expect(free >= policy.backoffBase / 2)
                #expect(free <= policy.backoffCap)
                let pressed = policy.backoff(failures: failures, remaining: .seconds(40), using: &generator)
                #expect(pressed <= .seconds(10))
                let last = policy.backoff(failures: failures, remaining: .milliseconds(10), using: &generator)
                #expect(last <= policy.backoffBase)
            }
        }
        let longest = (0..<200).map { _ in policy.backoff(failures: 12, remaining: .zero, using: &generator) }.max()
        #expect(longest.map { $0 > .seconds(200) } == true)
    }
}
