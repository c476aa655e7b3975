import Logging
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore
import ServiceLifecycle
import Webhooks

/// Stands for election, and while it leads refreshes what is due, delivers events and looks after the pools.
package final class Leadership: Service {
    private let keeper: LeaseKeeper
    private let scheduler: ProactiveScheduler
    private let pulse: Wakeup
    /// Nil where no webhooks are configured.
    private let webhooks: WebhookDispatcher?
    /// Nil where no pools are configured.
    private let pools: PoolWatch?
    private let time: any TimeSource
    /// Puts it into the stream of events that this instance leads.
    private let tell: @Sendable (_ epoch: Int64) async throws(StoreError) -> Void

    init(
        leases: any LeaseStore, schedule: any ScheduleStore, coordinator: RefreshCoordinator,
        configuration: PerennialConfiguration, instance: InstanceID, time: any TimeSource, cache: TokenCache,
        pulse: Wakeup, webhooks: WebhookDispatcher?, pools: PoolWatch?, logger: Logger,
        tell: @escaping @Sendable (_ epoch: Int64) async throws(StoreError) -> Void
    ) {
        self.webhooks = webhooks
        self.pools = pools
        self.time = time
        self.tell = tell
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

    package var isLeader: Bool { keeper.isLeader }

    func scheduleChanged() { scheduler.scheduleChanged() }
    func leaderReleased() { keeper.leaderReleased() }

    package func run() async throws {
        scheduler.announce()
        await cancelWhenGracefulShutdown { [self] in
            await keeper.run { reign in
                self.pulse.fire()
                await withDiscardingTaskGroup { group in
                    group.addTask { await self.scheduler.run(reign) }
                    group.addTask { await self.tellOf(reign) }
                    if let pools = self.pools { group.addTask { await pools.run() } }
                    if let webhooks = self.webhooks { group.addTask { await webhooks.run { reign.isCurrent } } }
                }
                self.pulse.fire()
            }
        }
    }

    private func tellOf(_ reign: Reign) async {
        var pause = Duration.seconds(1)
        while !Task.isCancelled, reign.isCurrent {
            if (try? await tell(reign.epoch)) != nil { return }
            try? await time.sleep(for: pause)
            pause = min(pause * 2, .seconds(60))
        }
    }
}
