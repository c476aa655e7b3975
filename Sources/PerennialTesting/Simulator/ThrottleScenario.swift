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
        plan.startsDueUntil = end
        plan.providerRate = 180
        // It is the provider that throttles here, and no limit of our own.
        plan.rateLimit = nil
        plan.chaos = .seconds(3000)
        plan.calm = .seconds(60)
        plan.callerPause = .seconds(5)
        let simulation = Simulation(plan: plan, keepsTrace: keepsTrace)
        simulation.script = SimulationScript(
            arrange: { world in world.at(TrueTime(end)) { savesAll(world) } },
            verify: { world in
                spreads(world)
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

    /// What the provider lets through in this time, its pauses included, is more than there are accounts.
    private static let end = Duration.seconds(2900)

    /// When the first tokens end there are new ones everywhere.
    @Sendable private static func savesAll(_ world: Simulation) {
        let state = world.redis.nodes[world.redis.primary].state
        let behind = world.accounts.filter { id in
            guard let account = state.account(id) else { return true }
            return account.generation < Generation(2) || !account.isValid(at: world.serverWall)
        }
        if let first = behind.first {
            world.oracle.fail(.liveness, "\(behind.count) accounts were not refreshed in time, \(first) among them")
        }
    }

    /// What was due at one moment is not due at one moment again.
    @Sendable private static func spreads(_ world: Simulation) {
        let due = world.redis.nodes[world.redis.primary].state.due.values.flatMap(\.accounts.values)
        let busiest = Dictionary(grouping: due) { $0.milliseconds / 1000 }.values.map(\.count).max() ?? 0
        if busiest > world.accounts.count / 200 {
            world.oracle.fail(.liveness, "\(busiest) accounts are due in the same second again")
        }
    }
}
