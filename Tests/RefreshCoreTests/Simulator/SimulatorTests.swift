import PerennialTesting
import RefreshCore
import Testing

@Suite("The simulator")
struct SimulatorTests {
    @Test("300 seeds break no invariant")
    func seeds() async {
        let report = await SimulationFleet(runs: 300, threads: 2).run()
        #expect(report.runs == 300)
        #expect(report.failures.isEmpty, "\(report.text)")
        // A run in which nothing happens would prove nothing.
        #expect(report.spends > 10 * report.runs)
        #expect(report.served > report.runs)
        #expect(report.faults.count > 30)
    }

    @Test("a seed gives the same run, event by event", arguments: [1, 7, 23] as [UInt64])
    func replays(seed: UInt64) {
        let first = Simulation(plan: SimulationPlan(seed: seed), keepsTrace: true).run()
        let second = Simulation(plan: SimulationPlan(seed: seed), keepsTrace: true).run()
        #expect(first == second)
        #expect(first.trace.count > 100)
    }

    @Test(
        "planted faults are caught",
        arguments: [PlantedMutation.dropIntentCheck, .skipFsync, .serveExpired, .resetGeneration])
    func catches(mutation: PlantedMutation) async {
        let report = await SimulationFleet(runs: 300, threads: 2, mutation: mutation).run()
        #expect(!report.failures.isEmpty)
    }

    @Test("the directed scenarios hold", arguments: DirectedScenario.all.filter { $0.name != "throttle-100000" })
    func scenario(_ scenario: DirectedScenario) {
        let result = scenario.run()
        if let failure = result.failure { Issue.record("\(scenario.name), seed \(failure.seed): \(failure.violation)") }
    }
}

@Suite("The fleet's clock")
struct FleetOffsetTests {
    private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test("a reply that lay unread for five minutes does not set the clock back by them")
    func staleReply() {
        var offset = FleetOffset(initialWall: WallTime(milliseconds: 0))
        offset.align(to: WallTime(milliseconds: 1_000_000), sentAt: at(0), receivedAt: at(0))
        offset.align(to: WallTime(milliseconds: 1_010_000), sentAt: at(10), receivedAt: at(310))
        #expect(offset.wall(at: at(310)) == WallTime(milliseconds: 1_310_000))
    }

    @Test("a server whose clock was set is followed, both ways", arguments: [3_600_000, -3_600_000] as [Int64])
    func jump(by milliseconds: Int64) {
        var offset = FleetOffset(initialWall: WallTime(milliseconds: 0))
        offset.align(to: WallTime(milliseconds: 10_000_000), sentAt: at(0), receivedAt: at(0))
        let moved = offset.align(
            to: WallTime(milliseconds: 10_010_000 + milliseconds), sentAt: at(10), receivedAt: at(10))
        #expect(moved == .milliseconds(milliseconds))
    }
}
