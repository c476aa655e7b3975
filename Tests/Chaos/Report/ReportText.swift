import MockProvider

/// A report for people.
struct ReportText {
    let report: ChaosReport

    var text: String {
        var lines = ["", "Faults"]
        lines += report.faults.map { fault in
            "  \(Self.time(fault.from))  \(Self.pad("\(Self.seconds(fault.to - fault.from))", 7)) "
                + "\(Self.pad(fault.kind.rawValue, 22)) \(fault.target)"
        }
        lines += ["", "Result"]
        lines += rows.map { "  \(Self.pad($0.0, 46)) \($0.1)" }
        if !report.losses.isEmpty {
            lines += ["", "Lost accounts"]
            let losses = report.losses.filter(\.isExplained) + report.losses.filter { !$0.isExplained }.prefix(20)
            lines += losses.map {
                "  \($0.isExplained ? "explained " : "UNEXPLAINED")  \($0.account) (\($0.now)): \($0.cause)"
            }
        }
        if !report.alarms.isEmpty {
            lines += ["", "Alarms in the logs"] + report.alarms.map { "  \($0)" }
        }
        lines.append("")
        if report.violations.isEmpty {
            lines.append("PASSED")
        } else {
            lines.append("FAILED: \(report.violations.count) violations")
            lines += report.violations.prefix(20).map { "  \($0)" }
            if report.violations.count > 20 {
                lines.append("  and \(report.violations.count - 20) more (--report has all)")
            }
        }
        if let files = report.files { lines.append("Logs and data: \(files)") }
        return lines.joined(separator: "\n")
    }

    private var rows: [(String, String)] {
        let failures = report.reads.failures.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
        var rows = [
            ("topology, seed", "\(report.topology.rawValue), \(report.seed)"),
            ("instances, accounts", "\(report.instances), \(report.accounts)"),
            ("tokens served", "\(report.reads.served), of which the provider took \(report.reads.taken)"),
            ("reads without a token", failures.isEmpty ? "0" : failures.joined(separator: ", ")),
            ("longest wait for a token", Self.seconds(report.reads.slowest)),
            ("expired tokens served", "\(report.reads.expired)"),
            ("tokens of another account served", "\(report.reads.foreign)"),
            ("generations whose token changed", "\(report.reads.altered)"),
            ("refresh tokens sent", "\(report.spends)"),
            ("  sent again as an announced recovery", "\(report.recoveries)"),
            ("  sent again without leave", "\(report.unexcusedSpends)"),
        ]
        for provider in report.providers {
            let totals = provider.totals
            rows.append(
                (
                    "provider \(provider.name) (\(provider.rotation.rawValue))",
                    "\(totals.refreshes) rotations, \(totals.graceReplays) answers repeated, "
                        + "\(totals.familiesRevoked) accounts revoked for reuse"
                ))
        }
        rows += [
            ("faults injected", "\(report.faults.count)"),
            ("accounts lost", "\(report.losses.count)"),
            ("  without need", "\(report.losses.count { !$0.isExplained })"),
            ("accounts not active", "\(report.notActive)"),
            ("intents left", "\(report.intents)"),
            ("orphans kept", "\(report.orphans.count)"),
            ("journal entries left", "\(report.journalEntries)"),
        ]
        return rows
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// `1.4 s`.
    private static func seconds(_ milliseconds: Int64) -> String { Duration.milliseconds(milliseconds).shortText }

    /// `2:05`.
    private static func time(_ milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds) / 1000
        return "\(seconds / 60):\(seconds % 60 < 10 ? "0" : "")\(seconds % 60)"
    }
}
