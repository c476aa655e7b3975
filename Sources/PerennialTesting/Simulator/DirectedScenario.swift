import RefreshCore

/// A run that is arranged by hand: one of the cases that recovery has to pass.
public struct DirectedScenario: Sendable {
    public struct Result: Sendable {
        public var failure: (seed: UInt64, violation: Violation)?
        public var note: String
        public var trace: [String] = []
    }

    public let name: String
    public let summary: String
    let body: @Sendable (Bool, PlantedMutation?) -> Result

    public func run(keepsTrace: Bool = false, mutation: PlantedMutation? = nil) -> Result { body(keepsTrace, mutation) }

    /// Several runs of one shape, each with another seed; the note says what they came to.
    static func series(
        _ name: String, _ summary: String, seeds: Int = 40,
        _ arrange: @escaping @Sendable (inout SimulationPlan, Int) -> SimulationScript?
    ) -> DirectedScenario {
        DirectedScenario(name: name, summary: summary) { keepsTrace, mutation in
            var spends = 0
            for seed in 0..<seeds {
                var plan = SimulationPlan(quietSeed: UInt64(seed))
                plan.mutation = mutation
                let script = arrange(&plan, seed)
                let simulation = Simulation(plan: plan, keepsTrace: keepsTrace)
                simulation.script = script
                let outcome = simulation.run()
                spends += outcome.spends
                if let violation = outcome.violation {
                    return Result(failure: (UInt64(seed), violation), note: summary, trace: outcome.trace)
                }
                if keepsTrace, seed == seeds - 1 {
                    return Result(note: "\(seeds) runs, \(spends) spends", trace: outcome.trace)
                }
            }
            return Result(note: "\(seeds) runs, \(spends) spends")
        }
    }
}

extension SimulationPlan {
    /// A plain run in which nothing goes wrong by chance: two instances, one account, tokens of ten minutes.
    init(quietSeed: UInt64) {
        self.init(seed: quietSeed)
        accounts = 1
        instances = 2
        rotation = .singleUse
        lifetime = .seconds(600)
        leaseTTL = .seconds(30)
        waitsForReplica = false
        faults = []
        chaos = .seconds(1200)
        calm = .seconds(2400)
        callerPause = .seconds(60)
        odds = 0
    }
}
