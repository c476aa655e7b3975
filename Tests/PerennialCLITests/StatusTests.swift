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
}
