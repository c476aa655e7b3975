import Logging

/// Where it is noted that the fleet spends more commands than it may.
public protocol BudgetLog: Sendable {
    func overBudget(forecast: Int, budget: Int, instance: InstanceID) async throws(StoreError)
}

/// Compares what the instances of the fleet forecast with what the operator has paid for.
public struct CommandBudget: Sendable {
    /// Between two looks, each of which costs a command.
    public static let pause = Duration.seconds(600)

    /// Commands a day, over the whole fleet.
    public let perDay: Int
    private let instance: InstanceID
    private let registry: any InstanceRegistry
    private let log: any BudgetLog
    private let logger: Logger
    private var isOver = false
    private var nextLook: MonotonicTime?

    public init(
        perDay: Int, instance: InstanceID, registry: any InstanceRegistry, log: any BudgetLog, logger: Logger
    ) {
        self.perDay = perDay
        self.instance = instance
        self.registry = registry
        self.log = log
        self.logger = logger
    }

    /// What the fleet will spend in a day: the sum of the instances that know; nil where none does.
    public static func forecast(_ instances: [InstanceInfo]) -> Int? {
        let known = instances.compactMap(\.commandsPerDay)
        return known.isEmpty ? nil : known.reduce(0, +)
    }

    /// Says it aloud when the budget has been crossed since the last look; once for each crossing.
    ///
    /// - Throws: ``StoreError`` when the store did not answer; then the next call looks again.
    public mutating func look(now: MonotonicTime) async throws(StoreError) {
        if let nextLook, now < nextLook { return }
        guard let forecast = Self.forecast(try await registry.instances()) else { return }
        if forecast > perDay, !isOver {
            logger.warning(
                "Redis commands: the fleet is on its way to \(forecast) a day, and the budget is \(perDay) (redis.command_budget)"
            )
            try await log.overBudget(forecast: forecast, budget: perDay, instance: instance)
        } else if forecast <= perDay, isOver {
            logger.notice("Redis commands: \(forecast) a day are forecast, within the budget of \(perDay) again")
        }
        isOver = forecast > perDay
        nextLook = now + Self.pause
    }
}
