import RefreshCore
import ServiceLifecycle

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Tells the fleet that this instance is there; at once when it becomes the leader or no longer is.
final class Heartbeat: Service {
    /// Between two announcements. They are informative only, so it may be long.
    private let interval: Duration
    private let registry: any InstanceRegistry
    private let instance: InstanceID
    private let host: String
    private let listen: [String]
    private let leadership: Leadership?
    private let statistics: RefreshStatistics
    private let time: any TimeSource
    private let pulse: Wakeup
    /// Commands sent to the store so far.
    private let commands: @Sendable () -> Int
    private let budget: CommandBudget?

    init(
        registry: any InstanceRegistry, instance: InstanceID, host: String, listen: [String], leadership: Leadership?,
        statistics: RefreshStatistics, time: any TimeSource, pulse: Wakeup, interval: Duration,
        commands: @escaping @Sendable () -> Int, budget: CommandBudget?
    ) {
        self.interval = interval
        self.commands = commands
        self.budget = budget
        self.registry = registry
        self.instance = instance
        self.host = host
        self.listen = listen
        self.leadership = leadership
        self.statistics = statistics
        self.time = time
        self.pulse = pulse
    }

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            var startedAt: WallTime?
            var forecast: CommandForecast?
            var budget = budget
            while !Task.isCancelled {
                let now = time.wall()
                let began = startedAt ?? now
                do {
                    let perDay = forecast?.perDay(count: commands(), now: time.monotonic())
                    try await registry.announce(
                        info(startedAt: began, seenAt: now, commandsPerDay: perDay), ttl: interval * 3)
                    // Kept only once Redis has answered: before that the clock is this machine's.
                    startedAt = began
                    // The leader looks for all; where nobody leads, each does.
                    if leadership?.isLeader ?? true, perDay != nil { try await budget?.look(now: time.monotonic()) }
                    let counting = forecast ?? CommandForecast(beganAt: time.monotonic(), count: commands())
                    forecast = counting
                    var next = time.monotonic() + interval
                    // The first forecast is told as soon as there is one.
                    if perDay == nil { next = min(next, max(counting.readyAt, time.monotonic() + .milliseconds(1))) }
                    await pulse.wait(until: next, time: time)
                } catch {
                    await pulse.wait(until: time.monotonic() + .milliseconds(500), time: time)
                }
            }
        }
        // A new task: this one may be cancelled, and leaving in order is worth a command.
        await Task { [registry, instance] in try? await registry.withdraw(instance) }.value
    }

    private func info(startedAt: WallTime, seenAt: WallTime, commandsPerDay: Int?) -> InstanceInfo {
        InstanceInfo(
            id: instance.rawValue, host: host, pid: Int(ProcessInfo.processInfo.processIdentifier),
            version: perennialVersion, startedAt: startedAt.milliseconds, seenAt: seenAt.milliseconds, listen: listen,
            isProactive: leadership != nil, isLeader: leadership?.isLeader ?? false,
            refreshes: statistics.snapshot().refreshed, commandsPerDay: commandsPerDay)
    }
}
