import RedisClient
import RefreshCore

/// Puts it into the stream of events that the fleet spends more commands than it may.
public struct RedisBudgetLog: BudgetLog {
    let link: RedisLink
    /// As `append_event` in prelude.lua keeps them.
    private static let eventsKept = 10_000

    public init(link: RedisLink) {
        self.link = link
    }

    public func overBudget(forecast: Int, budget: Int, instance: InstanceID) async throws(StoreError) {
        let key = link.keys.events(0)
        _ = try await link.send(
            RedisCommand(
                "XADD", key, "MAXLEN", "~", Self.eventsKept, "*", "at", link.clock.wall().milliseconds, "type",
                "store.command_budget", "forecast", forecast, "budget", budget, "instance", instance.rawValue),
            key: key)
    }
}
