import ArgumentParser
import Glibc
import PerennialTesting

/// Runs the deterministic simulator: seeded runs of whole fleets, each checked after every event.
@main
struct PerennialSimulator: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "PerennialSimulator",
        abstract: "Runs whole fleets on a seeded queue of events and checks the invariants after each event.",
        discussion: "A failure prints its seed and the command that repeats it, event by event.")

    @Option(help: "How many random runs.")
    var runs = 1000

    @Option(help: "The first seed; with --trace or alone, the only one.")
    var seed: UInt64?

    @Flag(help: "Print every event of the run.")
    var trace = false

    @Option(help: "Plant this mutation, one of \(PlantedMutation.allCases.map(\.rawValue).joined(separator: ", ")).")
    var mutation: PlantedMutation?

    @Option(help: "Run only this directed scenario; \"all\" for all of them.")
    var scenario: String?

    @Flag(help: "List the directed scenarios.")
    var scenarios = false

    @Option(help: "Threads; each run has one.")
    var threads: Int = SimulationFleet.processors

    @Flag(help: "Print the report as JSON.")
    var json = false

    /// How this program was called, for commands that can be pasted.
    private static var program: String { CommandLine.arguments.first ?? "PerennialSimulator" }

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs has to be at least 1") }
        guard (1...256).contains(threads) else { throw ValidationError("--threads has to be from 1 to 256") }
    }

    func run() async throws {
        if scenarios {
            for scenario in DirectedScenario.all { print("\(scenario.name): \(scenario.summary)") }
            return
        }
        if let scenario { return try runScenarios(scenario) }
        if let seed { return try replay(seed) }
        try await runMany()
    }

    private func runMany() async throws {
        let report = await SimulationFleet(runs: runs, firstSeed: 1, threads: threads, mutation: mutation) { [runs] in
            var errors = StandardError()
            print("\($0.runs) of \(runs) runs, \(Int($0.rate)) runs/s", to: &errors)
        }.run()
        print(json ? report.json : report.text)
        guard let failure = report.failures.first else { return }
        try show(failure.seed)
    }

    private func replay(_ seed: UInt64) throws {
        var plan = SimulationPlan(seed: seed)
        plan.mutation = mutation
        let outcome = Simulation(plan: plan, keepsTrace: true).run()
        print("seed \(seed): \(plan)")
        for line in outcome.trace.suffix(trace ? outcome.trace.count : SimulationFleet.tail) { print(line) }
        if outcome.violation != nil { throw ExitCode.failure }
    }

    /// Repeats a failed run for its trace.
    private func show(_ seed: UInt64) throws {
        if !json {
            print("\nseed \(seed), the last \(SimulationFleet.tail) lines of its trace; all of it:")
            let planted = mutation.map { " --mutation \($0.rawValue)" } ?? ""
            print("  \(Self.program) --seed \(seed) --trace\(planted)\n")
            try replay(seed)
        }
        throw ExitCode.failure
    }

    private func runScenarios(_ name: String) throws {
        let chosen = DirectedScenario.all.filter { name == "all" || $0.name == name }
        guard !chosen.isEmpty else { throw ValidationError("no scenario \"\(name)\": --scenarios lists them") }
        var hasFailed = false
        for scenario in chosen {
            let result = scenario.run(keepsTrace: trace, mutation: mutation)
            if trace { for line in result.trace { print(line) } }
            print("\(result.failure == nil ? "ok  " : "FAIL") \(scenario.name): \(result.note)")
            if let failure = result.failure {
                hasFailed = true
                print("     seed \(failure.seed): \(failure.violation)")
                print("     \(Self.program) --scenario \(scenario.name) --trace")
            }
        }
        if hasFailed { throw ExitCode.failure }
    }
}

extension PlantedMutation: ExpressibleByArgument {}

/// Progress goes to standard error: standard output is the report.
private struct StandardError: TextOutputStream {
    func write(_ string: String) {
        let bytes = Array(string.utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
