import ConfigurationFile

/// How a demo ended.
struct DemoVerdict: Sendable, Equatable {
    var plan: DemoPlan
    var spends = SpendAudit()
    var tally = ReadTally()
    var skippedReads = 0
    var leaderChanges = 0
    /// From the kill until another instance said that it leads; nil if none was killed, or none followed.
    var failover: Duration?
    var hasKilled = false
    /// What else went wrong, such as an instance that ended by itself.
    var incidents: [String] = []

    /// Why it is a failure; empty for a pass.
    var faults: [String] {
        var faults: [String] = []
        func want(_ condition: Bool, _ text: String) {
            if !condition { faults.append(text) }
        }
        want(spends.duplicateSpends == 0, "\(spends.duplicateSpends) refresh tokens were spent twice")
        want(spends.familiesRevoked == 0, "\(spends.familiesRevoked) grants were revoked for reuse")
        want(tally.expired == 0, "\(tally.expired) tokens that were served did not work any more")
        want(tally.failed == 0, "\(tally.failed) reads failed\(reasonsText)")
        want(tally.waitedInSteadyState == 0, "\(tally.waitedInSteadyState) reads waited for a refresh in steady state")
        want(tally.served > 0, "no token was served")
        want(spends.refreshes >= plan.accounts, "only \(spends.refreshes) refreshes for \(plan.accounts) accounts")
        if plan.kill == .leader {
            want(hasKilled, "no leader was found that could be killed")
            want(!hasKilled || failover != nil, "no other instance took the lead")
        }
        return faults + tally.examples + incidents
    }

    var hasPassed: Bool { faults.isEmpty }

    private var reasonsText: String {
        guard !tally.reasons.isEmpty else { return "" }
        let reasons = tally.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return " (" + reasons.map { "\($0.value) × \($0.key)" }.joined(separator: ", ") + ")"
    }

    // MARK: For programs

    /// One object on one line. The first ten keys are promised; others may be added after them.
    var json: String {
        let fields: [(String, String)] = [
            ("accounts", "\(plan.accounts)"),
            ("refreshes", "\(spends.refreshes)"),
            ("duplicate_spends", "\(spends.duplicateSpends)"),
            ("families_revoked", "\(spends.familiesRevoked)"),
            ("tokens_served", "\(tally.served)"),
            ("expired_served", "\(tally.expired)"),
            ("failed_reads", "\(tally.failed)"),
            ("leader_changes", "\(leaderChanges)"),
            ("failover_ms", failover.map { "\(Self.milliseconds($0))" } ?? "null"),
            ("reads_that_waited", "\(tally.waited)"),
            ("reads_that_waited_in_steady_state", "\(tally.waitedInSteadyState)"),
            ("recovery_resends", "\(spends.graceReplays)"),
            ("recoveries_logged", "\(spends.loggedRecoveries)"),
            ("rerouted_reads", "\(tally.rerouted)"),
            ("skipped_reads", "\(skippedReads)"),
            ("tokens_used", "\(tally.used)"),
            ("read_p50_ms", Self.fraction(tally.latency.percentile(0.5))),
            ("read_p99_ms", Self.fraction(tally.latency.percentile(0.99))),
            ("read_max_ms", Self.fraction(tally.latency.count > 0 ? tally.latency.maximum : nil)),
            ("instances", "\(plan.instances)"),
            ("duration_ms", "\(Self.milliseconds(plan.duration))"),
            ("lifetime_ms", "\(Self.milliseconds(plan.lifetime))"),
            ("verdict", hasPassed ? "\"PASS\"" : "\"FAIL\""),
            ("faults", "[\(faults.map { AccountLines.quoted($0) }.joined(separator: ","))]"),
        ]
        return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// Milliseconds with two decimals.
    private static func fraction(_ duration: Duration?) -> String {
        guard let duration else { return "null" }
        let (seconds, attoseconds) = duration.components
        let hundredths = seconds * 100_000 + attoseconds / 10_000_000_000_000
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    // MARK: For people

    /// A table with what was wanted, and the verdict.
    func report(hasColour: Bool) -> [String] {
        let failoverText =
            failover.map { "\(Self.milliseconds($0)) ms" } ?? (plan.kill == .none ? "nobody killed" : "none")
        let rows: [(name: String, value: String, wanted: String, isGood: Bool?)] = [
            ("accounts", "\(plan.accounts)", "", nil),
            ("refreshes", "\(spends.refreshes)", "≥ \(plan.accounts)", spends.refreshes >= plan.accounts),
            ("duplicate spends", "\(spends.duplicateSpends)", "0", spends.duplicateSpends == 0),
            ("families revoked", "\(spends.familiesRevoked)", "0", spends.familiesRevoked == 0),
            ("recovery re-sends (logged)", "\(spends.graceReplays) (\(spends.loggedRecoveries))", "", nil),
            ("tokens served", "\(tally.served)", "> 0", tally.served > 0),
            ("  of these used at the provider", "\(tally.used)", "", nil),
            ("expired served", "\(tally.expired)", "0", tally.expired == 0),
            ("failed reads", "\(tally.failed)", "0", tally.failed == 0),
            ("rerouted reads", "\(tally.rerouted)", "", nil),
            ("reads that waited", "\(tally.waited)", "", nil),
            ("  in steady state", "\(tally.waitedInSteadyState)", "0", tally.waitedInSteadyState == 0),
            ("leader changes", "\(leaderChanges)", "", nil),
            (
                "failover", failoverText, plan.kill == .none ? "" : "a new leader",
                plan.kill == .none ? nil : failover != nil
            ),
            (
                "read latency p50 / p99 / max",
                [0.5, 0.99, 1].map { Self.fraction(tally.latency.percentile($0)) }.joined(separator: " / ") + " ms", "",
                nil
            ),
        ]
        let nameWidth = rows.map(\.name.count).max() ?? 0
        let valueWidth = rows.map(\.value.count).max() ?? 0
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        var lines: [String] = []
        for row in rows {
            let mark = row.isGood.map { Paint.text($0 ? "ok" : "NOT OK", $0 ? .green : .red, hasColour) + "  " } ?? ""
            let wanted = row.wanted.isEmpty ? "" : "wanted \(row.wanted)"
            let line = "  \(padded(row.name, nameWidth))  \(padded(row.value, valueWidth))  \(mark)\(wanted)"
            lines.append(String(line.reversed().drop { $0 == " " }.reversed()))
        }
        lines.append("")
        if hasPassed {
            lines.append(Paint.text("PASS", .green, hasColour))
        } else {
            lines.append(Paint.text("FAIL", .red, hasColour))
            lines += faults.map { "  \($0)" }
        }
        return lines
    }
}
