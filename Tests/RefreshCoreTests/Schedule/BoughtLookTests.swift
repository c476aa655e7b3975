import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("A schedule that keeps the accounts that were taken")
struct BoughtLookTests {
    private let start = MonotonicTime(nanoseconds: 0)

    private func account(_ name: String) throws -> DueAccount {
        DueAccount(account: try AccountID(name), provider: acme)
    }

    @Test("what is shown again while it waits or is under way is not started a second time")
    func shownAgain() throws {
        let policies = ModelPolicies(.test { $0.maxConcurrentExchanges = 1 })
        var backlog = Backlog(scheduleKeepsTaken: true)
        let (alice, bob) = (try account("alice"), try account("bob"))
        #expect(backlog.add(shown: [alice, bob], now: start) == nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)) == [alice])
        #expect(backlog.add(shown: [alice, bob], now: start) == nil)
        backlog.finished(alice, lookAgainAt: nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)) == [bob])
        backlog.finished(bob, lookAgainAt: nil)
        #expect(backlog.startable(policies, limit: 1, now: MonotonicTime(nanoseconds: 0)).isEmpty)
    }

    @Test("what was put off but is still shown rests, and says until when")
    func rests() throws {
        let policies = ModelPolicies(.test { $0.maxConcurrentExchanges = 1 })
        var backlog = Backlog(scheduleKeepsTaken: true)
        let (alice, bob) = (try account("alice"), try account("bob"))
        backlog.rest(alice.account, until: start + .seconds(30))
        #expect(backlog.add(shown: [alice, bob], now: start) == start + .seconds(30))
        #expect(backlog.startable(policies, limit: 10, now: MonotonicTime(nanoseconds: 0)) == [bob])
        #expect(backlog.add(shown: [alice], now: start + .seconds(30)) == nil)
        #expect(backlog.startable(policies, limit: 10, now: MonotonicTime(nanoseconds: 0)) == [alice])
    }

    @Test("a look asks for as many more as are known, so that these do not hide the others")
    func asksBehindTheKnown() throws {
        let policies = ModelPolicies(.test { $0.maxConcurrentExchanges = 2 })
        var backlog = Backlog(scheduleKeepsTaken: true)
        #expect(backlog.wanted(policies, limit: 10, now: start) == [acme: 4])
        _ = backlog.add(shown: try (1...4).map { try account("account-\($0)") }, now: start)
        #expect(backlog.wanted(policies, limit: 10, now: start).isEmpty)
        #expect(backlog.startable(policies, limit: 10, now: MonotonicTime(nanoseconds: 0)).count == 4)
        #expect(backlog.wanted(policies, limit: 10, now: start) == [acme: 8])
        backlog.rest(try account("other").account, until: start + .seconds(30))
        #expect(backlog.wanted(policies, limit: 10, now: start) == [acme: 9])
    }
}
