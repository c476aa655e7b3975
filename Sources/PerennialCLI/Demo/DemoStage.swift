import ConfigurationFile
import MockProvider

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The part of a demo that is timed: load, kill, take-over.
struct DemoStage: Sendable {
    let plan: DemoPlan
    let accounts: [String]
    let provider: MockProviderServer
    let watch: FleetWatch
    let load: ReadLoad
    let display: DemoDisplay

    /// - Returns: everything but the judgement of the ledger, which has to wait until the instances have ended.
    /// - Throws: `CancellationError`.
    func play() async throws -> DemoVerdict {
        let start = ContinuousClock.now
        var verdict = DemoVerdict(plan: plan)
        tell(
            plan.kill == .leader
                ? "The leader is killed after \(DurationText.format(plan.killAt))" : "Nobody is killed in this run")

        async let loading: Void = load.run()
        async let _: Void = watch.run()
        async let _: Void = show(since: start)

        try await Task.sleep(until: start + plan.killAt, clock: .continuous)
        if plan.kill == .leader { try await killLeader(&verdict, end: start + plan.duration) }
        try await Task.sleep(until: start + plan.duration, clock: .continuous)

        load.stop()
        await loading
        await watch.poll()
        display.show(scene(since: start, meter: RateMeter()))
        verdict.tally = load.tally
        verdict.skippedReads = load.skipped
        verdict.leaderChanges = watch.leaderChanges
        // Leaving the scope cancels what watches and shows.
        return verdict
    }

    private func tell(_ event: String) {
        watch.event = event
        display.mention(event)
    }

    private func killLeader(_ verdict: inout DemoVerdict, end: ContinuousClock.Instant) async throws {
        // What an instance says of itself lags a little behind.
        while watch.leader == nil, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        guard let leader = watch.leader else { return }
        load.endSteadyState()
        let killedAt = ContinuousClock.now
        watch.kill(leader)
        verdict.hasKilled = true
        tell("Instance \(leader.number), the leader, was killed with SIGKILL")
        while ContinuousClock.now < end {
            await watch.poll()
            if let next = watch.leader {
                let failover = ContinuousClock.now - killedAt
                verdict.failover = failover
                tell(
                    "Instance \(leader.number), the leader, was killed; instance \(next.number) took over after "
                        + "\(DemoVerdict.milliseconds(failover)) ms")
                return
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: Showing

    private func show(since start: ContinuousClock.Instant) async {
        var meter = RateMeter()
        while !Task.isCancelled {
            meter.record(load.tally.served, at: ContinuousClock.now)
            display.show(scene(since: start, meter: meter))
            try? await Task.sleep(for: DemoDisplay.frame)
        }
    }

    private func scene(since start: ContinuousClock.Instant, meter: RateMeter) -> DemoScene {
        let tally = load.tally
        let totals = provider.totals()
        let now = Date().timeIntervalSince1970
        return DemoScene(
            elapsed: min(ContinuousClock.now - start, plan.duration), duration: plan.duration,
            instances: watch.scene,
            earliest: tally.earliest(4).map {
                (accounts[$0.account], Double($0.state.expiresAt) - now, $0.state.generation)
            },
            accounts: accounts.count, served: tally.served,
            readsPerSecond: meter.rate ?? Double(tally.served)
                / max((ContinuousClock.now - start) / .seconds(1), 0.001),
            waited: tally.waited, failed: tally.failed, expired: tally.expired, rerouted: tally.rerouted,
            refreshes: totals.refreshes, duplicateSpends: totals.duplicateSpends,
            familiesRevoked: totals.familiesRevoked, event: watch.event)
    }
}

/// The rate of a growing count over the last moments.
struct RateMeter: Sendable {
    private static let span = Duration.seconds(2)
    private var samples: [(at: ContinuousClock.Instant, count: Int)] = []

    mutating func record(_ count: Int, at now: ContinuousClock.Instant) {
        samples.append((now, count))
        while samples.count > 2, let first = samples.first, now - first.at > Self.span { samples.removeFirst() }
    }

    /// A second; nil until there are two samples.
    var rate: Double? {
        guard let first = samples.first, let last = samples.last, last.at > first.at else { return nil }
        return Double(last.count - first.count) / ((last.at - first.at) / .seconds(1))
    }
}
