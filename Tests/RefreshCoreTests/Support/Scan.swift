import PerennialTesting
import Testing

@testable import RefreshCore

/// A proactive scan over a modelled fleet, in manual time.
struct Scan {
    let fleet: Fleet<ManualTimeSource>
    let scheduler: ProactiveScheduler
    let task: Task<Void, Never>

    var time: ManualTimeSource { fleet.time }

    init(
        _ fleet: Fleet<ManualTimeSource>, configuration: ProactiveScheduler.Configuration = .init(),
        isSubscribed: Bool = true, isPoked: Bool = false
    ) async {
        self.fleet = fleet
        let scheduler = ProactiveScheduler(
            store: fleet.store, coordinator: fleet.one.coordinator, policies: fleet.policies, time: fleet.time,
            configuration: configuration, logger: fleet.log.logger, isSubscribed: { isSubscribed })
        self.scheduler = scheduler
        if isPoked {
            await fleet.store.subscribe(hub: ChangeHub(), cache: TokenCache()) { _ in scheduler.scheduleChanged() }
        }
        task = Task { await scheduler.run(Reign(epoch: 1) { true }) }
    }

    /// Does something with a running scan and stops it, whatever comes of it.
    func running(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            await stop()
            throw error
        }
        await stop()
    }

    func stop() async {
        task.cancel()
        await task.value
    }

    /// Waits until nothing is due, nothing is under way, and the scan sleeps.
    func settle() async throws {
        try await eventually("the scan has done what is due") {
            let now = time.wall()
            let isIdle = await fleet.store.snapshots().allSatisfy { ($0.dueAt ?? .distant) > now }
            return isIdle && fleet.one.limiter.inUse(acme) == 0 && isAsleep
        }
        // The last refresh may still be on its way back to the scan.
        for _ in 0..<5 { await Task.yield() }
        try await eventually("the scan sleeps") { isAsleep }
    }

    private var isAsleep: Bool { time.nextDeadline.map { $0 > time.monotonic() } ?? false }

    /// Lets time pass up to the scan's own next deadline, `limit` at most.
    func step(_ limit: Duration) {
        let cap = time.monotonic() + limit
        time.advance(to: min(time.nextDeadline ?? cap, cap))
    }
}

extension WallTime {
    static let distant = WallTime(milliseconds: .max / 4)
}
