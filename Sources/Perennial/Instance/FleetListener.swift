import RefreshCore
import ServiceLifecycle

/// Passes on what the fleet says: drops stale memory, wakes waiters, the scheduler and the next leader.
struct FleetListener: Service {
    let feed: any ChangeFeed
    let cache: TokenCache
    let hub: ChangeHub
    let leadership: Leadership?
    let leftovers: Leftovers

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await signal in feed.signals() { handle(signal) }
        }
        cache.subscriptionChanged(isUp: false)
    }

    private func handle(_ signal: FleetSignal) {
        switch signal {
        case .connected:
            cache.subscriptionChanged(isUp: true)
            hub.signalAll()
            leadership?.scheduleChanged()
            leftovers.storeIsBack()
        case .disconnected:
            cache.subscriptionChanged(isUp: false)
        case .changed(let change):
            if change.outcome == .removed { cache.forget(change.account) } else { cache.invalidate(change) }
            hub.signal(change.account)
            if change.outcome.movesSchedule { leadership?.scheduleChanged() }
        case .leaderReleased:
            leadership?.leaderReleased()
        }
    }
}
