import Logging
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore
import ServiceLifecycle

/// Stands for election, and refreshes what is due while it leads.
public final class Leadership: Service {
    private let keeper: LeaseKeeper
    private let scheduler: ProactiveScheduler
    private let pulse: Wakeup

    init(
        leases: any LeaseStore, schedule: any ScheduleStore, coordinator: RefreshCoordinator,
        configuration: PerennialConfiguration, instance: InstanceID, time: any TimeSource, cache: TokenCache,
        pulse: Wakeup, logger: Logger
    ) {
        let providers = configuration.providers
        // An account being worked on is moved ahead for longer than any attempt can take.
        let longestLock = providers.providers.compactMap { providers.policy(for: $0)?.lockTTL }.max() ?? .seconds(30)
        let isFrugal = configuration.redis.profile == .hosted
        let ttl = configuration.leaseTTL
        keeper = LeaseKeeper(
            store: leases, instance: instance, ttl: ttl, renewAfter: isFrugal ? ttl * 2 / 3 : nil, time: time,
            logger: logger,
            seed: .random(in: .min ... .max))
        scheduler = ProactiveScheduler(
            store: schedule, coordinator: coordinator, policies: providers, time: time,
            configuration: .init(
                interval: configuration.refresh.interval, window: configuration.refresh.window,
                maxConcurrent: configuration.refresh.maxConcurrent, blindSleep: .seconds(isFrugal ? 60 : 1),
                hold: longestLock + .seconds(5), scheduleKeepsTaken: isFrugal),
            logger: logger, isSubscribed: { cache.isSubscribed })
        self.pulse = pulse
    }

    public var isLeader: Bool { keeper.isLeader }

    func scheduleChanged() { scheduler.scheduleChanged() }
    func leaderReleased() { keeper.leaderReleased() }

    public func run() async throws {
        scheduler.announce()
        await cancelWhenGracefulShutdown { [self] in
            await keeper.run { reign in
                self.pulse.fire()
                await self.scheduler.run(reign)
                self.pulse.fire()
            }
        }
    }
}
