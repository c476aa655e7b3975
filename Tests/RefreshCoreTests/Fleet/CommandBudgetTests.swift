import Logging
import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Testing

@Suite("Commands that are paid for")
struct CommandBudgetTests {
    private let start = MonotonicTime(nanoseconds: 0)

    @Test("the forecast is the rate since the start was over, and there is none before ten minutes")
    func forecast() {
        let forecast = CommandForecast(beganAt: start, count: 40)
        #expect(forecast.perDay(count: 1000, now: start + .seconds(599)) == nil)
        #expect(forecast.perDay(count: 50, now: start + .seconds(600)) == 1440)
        #expect(forecast.perDay(count: 140, now: start + .seconds(86_400)) == 100)
        #expect(forecast.readyAt == start + .seconds(600))
    }

    private final class House: InstanceRegistry, BudgetLog {
        let perDay = NIOLockedValueBox<[Int?]>([])
        let told = NIOLockedValueBox<[[Int]]>([])

        func announce(_ instance: InstanceInfo, ttl: Duration) async throws(StoreError) {}
        func withdraw(_ instance: InstanceID) async throws(StoreError) {}
        func instances() async throws(StoreError) -> [InstanceInfo] {
            perDay.withLockedValue { $0 }.map {
                InstanceInfo(
                    id: "one", host: "host", pid: 1, version: "1", startedAt: 0, seenAt: 0, listen: [],
                    isProactive: true, isLeader: false, refreshes: 0, commandsPerDay: $0)
            }
        }
        func overBudget(forecast: Int, budget: Int, instance: InstanceID) async throws(StoreError) {
            told.withLockedValue { $0.append([forecast, budget]) }
        }
    }

    @Test("a crossing is told once, over the sum of all instances, and again after it was within the budget")
    func crossings() async throws {
        let house = House()
        var budget = CommandBudget(
            perDay: 100, instance: try InstanceID("one"), registry: house, log: house,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var now = start
        func look(_ forecasts: Int?...) async throws {
            house.perDay.withLockedValue { $0 = forecasts }
            now = now + CommandBudget.pause
            try await budget.look(now: now)
        }
        try await look(nil, nil)
        try await look(60, 40, nil)
        #expect(house.told.withLockedValue { $0 } == [])
        try await look(60, 41)
        try await look(200, 1)
        #expect(house.told.withLockedValue { $0 } == [[101, 100]])
        try await look(50)
        try await look(150)
        #expect(house.told.withLockedValue { $0 } == [[101, 100], [150, 100]])
    }
}
