import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("The summary line")
struct RefreshTallyTests {
    private let other = ProviderFixture.name("zeta")

    private func ended(
        _ tally: inout RefreshTally, _ name: String, _ code: RefreshFailure.Code?, of provider: ProviderName = acme,
        at milliseconds: Int64 = 0
    ) throws {
        let now = MonotonicTime(nanoseconds: milliseconds * 1_000_000)
        let id = try AccountID(name)
        let snapshot = AccountSnapshot(
            id: id, provider: provider, generation: Generation(2), createdAt: WallTime(milliseconds: 0),
            updatedAt: WallTime(milliseconds: 0))
        let result = code.map { RefreshResult.failed(RefreshFailure($0, "no"), nil) } ?? .refreshed(snapshot)
        tally.ended(DueAccount(account: id, provider: provider), result, at: now)
    }

    @Test("has exactly the agreed form, with a line per provider")
    func form() throws {
        var tally = RefreshTally()
        tally.began(at: MonotonicTime(nanoseconds: 0))
        tally.began(at: MonotonicTime(nanoseconds: 0))
        tally.began(at: MonotonicTime(nanoseconds: 0))
        try ended(&tally, "a", nil)
        try ended(&tally, "b", nil)
        try ended(&tally, "c", nil, of: other, at: 2345)
        let lines = tally.summary(scheduled: [acme: 6, other: 2], at: MonotonicTime(nanoseconds: 9_000_000_000))
        #expect(
            lines == [
                "Token refresh completed: 3 refreshed, 5 skipped, 0 failed out of 8 checked (2345 ms)",
                "  acme: 2 refreshed, 4 skipped, 0 failed out of 6 checked",
                "  zeta: 1 refreshed, 1 skipped, 0 failed out of 2 checked",
            ])
        #expect(
            tally.summary(scheduled: [:], at: MonotonicTime(nanoseconds: 9_000_000_000)) == [
                "Token refresh completed: 0 refreshed, 0 skipped, 0 failed out of 0 checked (0 ms)"
            ])
    }

    @Test("an account counts once: refreshed wins over failed; what was not tried is skipped")
    func countsOnce() throws {
        var tally = RefreshTally()
        for _ in 0..<7 { tally.began(at: MonotonicTime(nanoseconds: 0)) }
        try ended(&tally, "a", .providerUnavailable)
        try ended(&tally, "a", nil)
        try ended(&tally, "b", nil)
        try ended(&tally, "b", .providerUnavailable)
        try ended(&tally, "c", .providerUnavailable)
        try ended(&tally, "c", .outcomeUnknown)
        try ended(&tally, "d", .coolingDown)
        let lines = tally.summary(scheduled: [acme: 4], at: MonotonicTime(nanoseconds: 0))
        #expect(lines[0].hasPrefix("Token refresh completed: 2 refreshed, 1 skipped, 1 failed out of 4 checked"))
    }

    @Test("an account that was refused has left the schedule and is counted all the same")
    func refused() throws {
        var tally = RefreshTally()
        tally.began(at: MonotonicTime(nanoseconds: 0))
        try ended(&tally, "a", .reauthRequired)
        let lines = tally.summary(scheduled: [:], at: MonotonicTime(nanoseconds: 0))
        #expect(lines[0].hasPrefix("Token refresh completed: 0 refreshed, 0 skipped, 1 failed out of 1 checked"))
    }

    @Test("the time is that in which refreshes were under way, also across a summary")
    func busyTime() throws {
        var tally = RefreshTally()
        tally.began(at: MonotonicTime(nanoseconds: 0))
        tally.began(at: MonotonicTime(nanoseconds: 500_000_000))
        try ended(&tally, "a", nil, at: 1000)
        #expect(tally.summary(scheduled: [:], at: MonotonicTime(nanoseconds: 1_500_000_000))[0].hasSuffix("(1500 ms)"))
        try ended(&tally, "b", nil, at: 2000)
        tally.began(at: MonotonicTime(nanoseconds: 9_000_000_000))
        try ended(&tally, "c", nil, at: 9100)
        #expect(tally.summary(scheduled: [:], at: MonotonicTime(nanoseconds: 9_900_000_000))[0].hasSuffix("(600 ms)"))
    }
}

@Suite("Due accounts that were taken")
struct BacklogTests {
    @Test("an account that is taken again while it is under way is started again afterwards, one that waits only once")
    func takenAgain() throws {
        let policies = ModelPolicies(.test { $0.maxConcurrentExchanges = 1 })
        var backlog = Backlog()
        let (alice, bob) = (
            DueAccount(account: try AccountID("alice"), provider: acme),
            DueAccount(account: try AccountID("bob"), provider: acme)
        )
        backlog.add(alice)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)) == [alice])
        backlog.add(bob)
        backlog.add(bob)
        backlog.add(alice)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)).isEmpty)
        backlog.finished(alice, lookAgainAt: nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)) == [bob])
        backlog.finished(bob, lookAgainAt: nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)) == [alice])
        backlog.finished(alice, lookAgainAt: nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)).isEmpty)
    }

    /// While answers are being stored the next exchanges are under way, but one provider does not take every place.
    @Test("a provider runs twice as many refreshes as exchanges, within the limit over all")
    func refreshesAhead() throws {
        let policies = ModelPolicies(.test { $0.maxConcurrentExchanges = 3 })
        var backlog = Backlog()
        for number in 0..<20 {
            backlog.add(DueAccount(account: try AccountID("account-\(number)"), provider: acme))
        }
        #expect(backlog.startable(policies, limit: 100, now: MonotonicTime(nanoseconds: 0)).count == 6)
        #expect(backlog.startable(policies, limit: 100, now: MonotonicTime(nanoseconds: 0)).isEmpty)
        var small = Backlog()
        for number in 0..<20 { small.add(DueAccount(account: try AccountID("account-\(number)"), provider: acme)) }
        #expect(small.startable(policies, limit: 4, now: MonotonicTime(nanoseconds: 0)).count == 4)
    }
}
