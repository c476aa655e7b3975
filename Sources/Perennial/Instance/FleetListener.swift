import RedisStore
import RefreshCore
import ServiceLifecycle
import Webhooks

/// Passes on what the fleet says: drops stale memory, wakes waiters, the scheduler and the next leader.
struct FleetListener: Service {
    let feed: any ChangeFeed
    let cache: TokenCache
    let hub: ChangeHub
    let leadership: Leadership?
    let leftovers: Leftovers
    let link: RedisLink
    /// Nil where no webhooks are configured.
    let webhooks: WebhookDispatcher?
    let fallbacks: FallbackDesk?
    /// Nil where no pools are configured.
    let pools: PoolWatch?
    /// The same.
    let desk: PoolDesk?
    /// Nil where none are made.
    let acquisitions: AcquisitionFinisher?

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await signal in feed.signals() { handle(signal) }
        }
        subscriptionChanged(isUp: false)
    }

    private func subscriptionChanged(isUp: Bool) {
        cache.subscriptionChanged(isUp: isUp)
        desk?.subscriptionChanged(isUp: isUp)
    }

    private func handle(_ signal: FleetSignal) {
        switch signal {
        case .connected:
            subscriptionChanged(isUp: true)
            hub.signalAll()
            leadership?.scheduleChanged()
            leftovers.storeIsBack()
            acquisitions?.storeIsBack()
            link.outages.mayBeBack()
            webhooks?.mayHaveMissed()
        case .disconnected:
            subscriptionChanged(isUp: false)
        case .changed(let change):
            if change.outcome == .removed { cache.forget(change.account) } else { cache.invalidate(change) }
            desk?.accountChanged(change)
            hub.signal(change.account)
            fallbacks?.note(change)
            if change.outcome.movesSchedule { leadership?.scheduleChanged() }
            tellWebhooks(of: change)
            pools?.accountChanged(change)
        case .eventsAppended(let partition):
            webhooks?.eventsAppended(partition)
        case .leaderReleased:
            leadership?.leaderReleased()
        case .providerResumed:
            leadership?.scheduleChanged()
        case .cooldownChanged(let pool, let change):
            desk?.cooldownChanged(change, in: pool)
            pools?.cooldownChanged(change.value.key, in: pool)
        }
    }

    private func tellWebhooks(of change: AccountChange) {
        guard let webhooks else { return }
        let partition = link.keys.partitionNumber(change.account)
        switch change.outcome {
        // Where commands are paid for there is no such event.
        case .refreshed: if !link.isFrugal { webhooks.tokenRefreshed(partition) }
        // A first failure says so itself; later ones are no event.
        case .failed: break
        case .refused, .added, .edited, .removed: webhooks.eventsAppended(partition)
        }
    }
}
