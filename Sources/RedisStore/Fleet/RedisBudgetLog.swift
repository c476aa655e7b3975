import RefreshCore

/// Puts it into the stream of events that the fleet spends more commands than it may.
public struct RedisBudgetLog: BudgetLog {
    private let log: RedisEventLog

    public init(link: RedisLink) {
        log = RedisEventLog(link: link)
    }

    public func overBudget(forecast: Int, budget: Int, instance: InstanceID) async throws(StoreError) {
        try await log.append(
            "store.command_budget",
            [
                .init("forecast", String(forecast)), .init("budget", String(budget)),
                .init("instance", instance.rawValue),
            ])
    }
}
