import RefreshCore
import ServiceLifecycle

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Tells the fleet that this instance is there; at once when it becomes the leader or no longer is.
final class Heartbeat: Service {
    /// Informative only, so it may be rare.
    static let interval = Duration.seconds(10)

    private let registry: any InstanceRegistry
    private let instance: InstanceID
    private let host: String
    private let listen: [String]
    private let leadership: Leadership?
    private let statistics: RefreshStatistics
    private let time: any TimeSource
    private let pulse: Wakeup

    init(
        registry: any InstanceRegistry, instance: InstanceID, host: String, listen: [String], leadership: Leadership?,
        statistics: RefreshStatistics, time: any TimeSource, pulse: Wakeup
    ) {
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
            while !Task.isCancelled {
                let now = time.wall()
                let began = startedAt ?? now
                do {
                    try await registry.announce(info(startedAt: began, seenAt: now), ttl: Self.interval * 3)
                    // Kept only once Redis has answered: before that the clock is this machine's.
                    startedAt = began
                    await pulse.wait(until: time.monotonic() + Self.interval, time: time)
                } catch {
                    await pulse.wait(until: time.monotonic() + .milliseconds(500), time: time)
                }
            }
        }
        // A new task: this one may be cancelled, and leaving in order is worth a command.
        await Task { [registry, instance] in try? await registry.withdraw(instance) }.value
    }

    private func info(startedAt: WallTime, seenAt: WallTime) -> InstanceInfo {
        InstanceInfo(
            id: instance.rawValue, host: host, pid: Int(ProcessInfo.processInfo.processIdentifier),
            version: perennialVersion, startedAt: startedAt.milliseconds, seenAt: seenAt.milliseconds, listen: listen,
            isProactive: leadership != nil, isLeader: leadership?.isLeader ?? false,
            refreshes: statistics.snapshot().refreshed)
    }
}
