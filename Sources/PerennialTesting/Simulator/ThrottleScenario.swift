import RefreshCore

extension DirectedScenario {
    /// 19
    static let throttle100000 = DirectedScenario(
        name: "throttle-100000",
        summary:
            "100,000 accounts due together under a provider that throttles: spread, Retry-After honoured, none expires"
    ) { keepsTrace, mutation in
        var plan = SimulationPlan(quietSeed: 1)
        plan.mutation = mutation
        plan.accounts = 100_000
        plan.instances = 3
        plan.lifetime = .seconds(7200)
        plan.maxConcurrentExchanges = 64
        plan.startsDue = true
        plan.providerRate = 180
        plan.chaos = .seconds(3000)
        plan.calm = .seconds(60)
        plan.callerPause = .seconds(5)
        let simulation = Simulation(plan: plan, keepsTrace: keepsTrace)
        simulation.script = SimulationScript(
            arrange: { _ in },
            verify: { world in
                livesOnOnce(world)
                if world.throttledEarly > 0 {
                    world.oracle.fail(.liveness, "\(world.throttledEarly) requests during a Retry-After")
                }
            })
        let outcome = simulation.run()
        let rate = outcome.spends / max(1, simulation.lastSendAt > 0 ? Int(simulation.lastSendAt / 1_000_000_000) : 1)
        return Result(
            failure: outcome.violation.map { (1, $0) },
            note: "\(outcome.spends) requests in \(simulation.lastSendAt / 1_000_000_000) s, \(rate) a second, "
                + "\(simulation.throttled) throttled", trace: outcome.trace)
    }

    @Sendable private static func livesOnOnce(_ world: Simulation) {
        let state = world.redis.nodes[world.redis.primary].state
        let behind = world.accounts.filter { id in
            guard let account = state.account(id) else { return true }
            return account.generation < Generation(2) || !account.isValid(at: world.serverWall)
        }
        if let first = behind.first {
            world.oracle.fail(.liveness, "\(behind.count) accounts were not refreshed in time, \(first) among them")
        }
    }
}
