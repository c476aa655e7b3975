import CurlClient
import MockProvider
import PerennialServers

/// One run over some rows, from the first process to the table.
struct Run: Sendable {
    let rows: [TableRow]
    let keepsFiles: Bool
    let narrator: Narrator

    /// As many trials at once as a small machine can bear; most of them wait most of the time.
    private static let trialsAtOnce = 48

    func perform(perennial: String) async throws -> ConformanceReport {
        let trials = rows.flatMap { row in
            Trial.all(of: row, faults: row.double.faults)
        }
        return try await Workshop.with(perennial: perennial, prefix: "prn-conf") { workshop in
            if keepsFiles { await workshop.keepFiles() }
            narrator.say("starting Redis, two instances and \(rows.count) doubles")
            do {
                var report = try await ConformanceSite.with(rows, trials: trials, workshop: workshop) { site in
                    narrator.say("\(trials.count) trials")
                    let start = ContinuousClock.now
                    let outcomes = await outcomes(of: trials, at: site)
                    let incidents = await incidents(at: site)
                    return ConformanceReport(
                        lines: table(outcomes), incidents: incidents,
                        seconds: Double((ContinuousClock.now - start).components.seconds))
                }
                if !report.passed { await workshop.keepFiles() }
                if keepsFiles || !report.passed { report.files = workshop.directory }
                return report
            } catch {
                await workshop.keepFiles()
                narrator.say("the files are in \(workshop.directory)")
                throw error
            }
        }
    }

    /// What became of a trial; nil: all was as expected.
    private struct Outcome: Sendable {
        var trial: Trial
        var finding: String?
    }

    private func outcomes(of trials: [Trial], at site: ConformanceSite) async -> [Outcome] {
        // Those that wait longest first.
        let slow: Set<Column> = [.transientError, .throttle, .misconfiguration, .finalError]
        var rest = (trials.filter { slow.contains($0.column) } + trials.filter { !slow.contains($0.column) })[...]
        return await withTaskGroup(of: Outcome.self) { group in
            func next() {
                guard let trial = rest.popFirst() else { return }
                group.addTask { await outcome(of: trial, at: site) }
            }
            for _ in 0..<Self.trialsAtOnce { next() }
            var outcomes: [Outcome] = []
            while let outcome = await group.next() {
                outcomes.append(outcome)
                if outcomes.count.isMultiple(of: 50) { narrator.say("\(outcomes.count) trials are over") }
                next()
            }
            return outcomes
        }
    }

    private func outcome(of trial: Trial, at site: ConformanceSite) async -> Outcome {
        let prefix = trial.label.isEmpty ? "" : "\(trial.label): "
        do {
            try await trial.perform(try Bench(trial, site: site))
            return Outcome(trial: trial, finding: nil)
        } catch {
            return Outcome(trial: trial, finding: prefix + "\(error)")
        }
    }

    private func table(_ outcomes: [Outcome]) -> [TableLine] {
        rows.map { row in
            TableLine(
                row: row.name, variationOf: row.variationOf,
                cells: Column.allCases.map { column in
                    if let reason = row.inapplicability(of: column) { return Cell(column, inapplicable: reason) }
                    let own = outcomes.filter { $0.trial.row.name == row.name && $0.trial.column == column }
                        .sorted { $0.trial.number < $1.trial.number }
                    return Cell(column, trials: own.count, findings: own.compactMap(\.finding))
                })
        }
    }

    /// Instances that have ended, and what their logs say that they never should.
    private func incidents(at site: ConformanceSite) async -> [String] {
        var incidents: [String] = []
        for (number, instance) in zip(1..., site.fleet.instances) {
            if await !instance.process.isRunning {
                incidents.append(
                    "instance \(number) has ended with code \(await instance.process.exitCode ?? -1): "
                        + instance.process.log.suffix(1000))
            }
            let alarms = instance.process.log.split(separator: "\n").filter {
                $0.contains("Fatal error") || $0.contains(HostileAnswer.smuggledHeader)
            }
            incidents += alarms.prefix(3).map { "instance \(number): \($0.prefix(300))" }
        }
        return incidents
    }
}
