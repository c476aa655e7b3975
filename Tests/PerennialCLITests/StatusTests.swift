import RefreshCore
import Testing

@testable import PerennialCLI

struct StatusTests {
    private func commands(_ forecasts: [Int?], budget: Int?) -> StatusCommand.Report.Commands {
        StatusCommand.Report.Commands(
            forecasts.map {
                InstanceInfo(
                    id: "one", host: "host", pid: 1, version: "1", startedAt: 0, seenAt: 0, listen: [],
                    isProactive: true, isLeader: false, refreshes: 0, commandsPerDay: $0)
            }, budget: budget)
    }

    @Test func `the commands of a day are the sum over the instances, with their share of the budget`() {
        let all = commands([2000, 1000, 1000], budget: 16_000)
        #expect(all.perDay == 4000)
        #expect(all.share == 0.25)
        #expect(
            StatusCommand.describe(all, of: 3) == "Commands   about 4000 a day, 25 % of the budget of 16000")
    }

    @Test func `an instance that has no forecast yet is not passed over in silence`() {
        let some = commands([2000, nil, 1000], budget: nil)
        #expect(some.share == nil)
        #expect(StatusCommand.describe(some, of: 3) == "Commands   about 3000 a day by 2 of 3 instances")
        let none = commands([nil], budget: 16_000)
        #expect(none.perDay == nil)
        #expect(StatusCommand.describe(none, of: 1) == "Commands   no forecast yet, budget 16000 a day")
    }

    @Test func `a provider that is asked as usual is not mentioned, and one that is paused says why and until when`()
        throws
    {
        let acme = try ProviderName("acme")
        let now = WallTime(milliseconds: 1_800_000_000_000)
        #expect(StatusCommand.Report.Provider(ProviderCondition(provider: acme)) == nil)
        func line(_ change: (inout ProviderCondition) -> Void) throws -> String {
            var condition = ProviderCondition(provider: acme)
            change(&condition)
            return StatusCommand.describe(try #require(StatusCommand.Report.Provider(condition)), now: now)
        }
        let open = try line {
            $0.circuit = .open
            $0.failures = 7
            $0.pausedUntil = now + .seconds(40)
            $0.cause = RefreshFault(kind: .ambiguous, message: "HTTP 502")
        }
        #expect(
            open
                == "Provider   acme: circuit open after 7 failures in a row, paused until 2027-01-15T08:00:40Z (in 40 s): "
                + "ambiguous, HTTP 502")
        let throttled = try line {
            $0.pausedUntil = now + .seconds(5)
            $0.cause = RefreshFault(kind: .throttled, message: "HTTP 429")
        }
        #expect(throttled == "Provider   acme: paused until 2027-01-15T08:00:05Z (in 5 s): throttled, HTTP 429")
        let half = try line {
            $0.circuit = .halfOpen
            $0.failures = 5
        }
        #expect(half == "Provider   acme: circuit half open after 5 failures in a row, one refresh goes first")
    }
}
