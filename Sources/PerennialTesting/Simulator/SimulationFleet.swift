import NIOConcurrencyHelpers

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Many runs, several at once: each is single-threaded, so a seed gives the same run on any machine.
public struct SimulationFleet: Sendable {
    public static let processors = max(1, ProcessInfo.processInfo.activeProcessorCount)
    /// Lines of a trace that are shown of a failure.
    public static let tail = 60

    public var runs: Int
    public var firstSeed: UInt64
    public var threads: Int
    public var mutation: PlantedMutation?
    /// Told of what has been done so far, after every ``progressStep`` runs.
    public var onProgress: (@Sendable (SimulationReport) -> Void)?
    public static let progressStep = 1000

    public init(
        runs: Int, firstSeed: UInt64 = 1, threads: Int = 1, mutation: PlantedMutation? = nil,
        onProgress: (@Sendable (SimulationReport) -> Void)? = nil
    ) {
        self.onProgress = onProgress
        self.runs = runs
        self.firstSeed = firstSeed
        self.threads = threads
        self.mutation = mutation
    }

    private struct Progress {
        var next = 0
        var report = SimulationReport()
    }

    /// Runs them all, or until one has failed.
    public func run() async -> SimulationReport {
        let progress = NIOLockedValueBox(Progress())
        let began = ContinuousClock.now
        await withTaskGroup { group in
            for _ in 0..<threads { group.addTask { work(progress, since: began) } }
        }
        var report = progress.withLockedValue { $0.report }
        report.failures.sort { $0.seed < $1.seed }
        report.seconds = (ContinuousClock.now - began) / .seconds(1)
        report.mutation = mutation
        return report
    }

    private func work(_ progress: NIOLockedValueBox<Progress>, since began: ContinuousClock.Instant) {
        while true {
            // Blocks of seeds are handed out in order; once one has failed no new ones are begun.
            let seed: UInt64? = progress.withLockedValue { progress in
                guard progress.next < runs, progress.report.failures.isEmpty else { return nil }
                defer { progress.next += 1 }
                return firstSeed + UInt64(progress.next)
            }
            guard let seed else { return }
            var plan = SimulationPlan(seed: seed)
            plan.mutation = mutation
            let outcome = Simulation(plan: plan).run()
            let report = progress.withLockedValue { progress in
                progress.report.add(outcome)
                return progress.report
            }
            guard let onProgress, report.runs.isMultiple(of: Self.progressStep), report.runs < runs else { continue }
            var interim = report
            interim.seconds = (ContinuousClock.now - began) / .seconds(1)
            onProgress(interim)
        }
    }
}

/// What many runs came to.
public struct SimulationReport: Sendable {
    public struct Failure: Sendable {
        public var seed: UInt64
        public var violation: Violation
    }

    public var runs = 0
    public var events = 0
    public var spends = 0
    public var recoveries = 0
    public var served = 0
    public var reigns = 0
    public var faults: [FaultKind: Int] = [:]
    public var failures: [Failure] = []
    public var seconds = 0.0
    public var mutation: PlantedMutation?

    mutating func add(_ outcome: Simulation.Outcome) {
        runs += 1
        events += outcome.events
        spends += outcome.spends
        recoveries += outcome.recoveries
        served += outcome.served
        reigns += outcome.reigns
        faults.merge(outcome.faults, uniquingKeysWith: +)
        if let violation = outcome.violation { failures.append(Failure(seed: outcome.seed, violation: violation)) }
    }

    public var rate: Double { seconds > 0 ? Double(runs) / seconds : 0 }

    public var text: String {
        var lines = [
            "\(runs) runs, \(events) events in \(rounded(seconds)) s: \(rounded(rate)) runs/s, "
                + "\(Int(seconds > 0 ? Double(events) / seconds : 0)) events/s",
            "\(spends) refresh tokens sent, \(recoveries) of them once more as recovery; \(served) reads served; "
                + "\(reigns) reigns",
            "faults: "
                + FaultKind.allCases.compactMap { kind in faults[kind].map { "\(kind.rawValue) \($0)" } }
                .joined(separator: ", "),
            "violations: \(failures.count)",
        ]
        for failure in failures { lines.append("  seed \(failure.seed): \(failure.violation)") }
        return lines.joined(separator: "\n")
    }

    public var json: String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        let faults = FaultKind.allCases.compactMap { kind in
            self.faults[kind].map { "\(quoted(kind.rawValue)): \($0)" }
        }.joined(separator: ", ")
        let failures = failures.map {
            "{\"seed\": \($0.seed), \"invariant\": \(quoted($0.violation.rule.rawValue)), \"what\": \(quoted($0.violation.what))}"
        }.joined(separator: ", ")
        return """
            {"runs": \(runs), "events": \(events), "seconds": \(rounded(seconds)), "runs_per_second": \(rounded(rate)), \
            "spends": \(spends), "recoveries": \(recoveries), "served": \(served), "reigns": \(reigns), \
            "mutation": \(mutation.map { quoted($0.rawValue) } ?? "null"), "faults": {\(faults)}, \
            "violations": [\(failures)]}
            """
    }

    private func rounded(_ number: Double) -> String { "\((number * 10).rounded() / 10)" }
}
