/// A report for people.
enum ReportTable {
    static func render(_ report: BenchReport) -> String {
        var lines = ["", report.name]
        if let failure = report.failure { lines.append("  not measured: \(failure)") }
        let rows = report.figures.map { ($0.name, number($0.value, $0.unit)) }
        let width = (rows.map(\.0.count) + report.requirements.map(\.name.count)).max() ?? 0
        let numberWidth = (rows.map(\.1.count) + report.requirements.map { number($0.value, $0.unit).count }).max() ?? 0
        for (name, value) in rows {
            lines.append("  \(padded(name, width))  \(padded(value, numberWidth, atStart: true))")
        }
        for requirement in report.requirements {
            let value = padded(number(requirement.value, requirement.unit), numberWidth, atStart: true)
            lines.append("  \(padded(requirement.name, width))  \(value)  \(verdict(requirement))")
        }
        lines += report.notes.map { "  · \($0)" }
        return lines.joined(separator: "\n")
    }

    /// One line for each requirement of all reports.
    static func summary(_ reports: [BenchReport]) -> String {
        var rows: [(suite: String, name: String, value: String, verdict: String)] = []
        for report in reports {
            if let failure = report.failure { rows.append((report.name, "not measured", "", "MISSED: \(failure)")) }
            for requirement in report.requirements {
                rows.append(
                    (
                        report.name, requirement.name, number(requirement.value, requirement.unit),
                        verdict(requirement)
                    ))
            }
        }
        let suiteWidth = rows.map(\.suite.count).max() ?? 0
        let nameWidth = rows.map(\.name.count).max() ?? 0
        let valueWidth = rows.map(\.value.count).max() ?? 0
        let lines = rows.map { row in
            "\(padded(row.suite, suiteWidth))  \(padded(row.name, nameWidth))  "
                + "\(padded(row.value, valueWidth, atStart: true))  \(row.verdict)"
        }
        return "\n" + lines.joined(separator: "\n")
    }

    private static func verdict(_ requirement: BenchReport.Requirement) -> String {
        let sign =
            switch requirement.comparison {
            case .atLeast: "≥"
            case .atMost: "≤"
            case .equals: "="
            }
        return "\(requirement.isMet ? "ok" : "MISSED")  (wanted \(sign) \(NumberText.format(requirement.limit)))"
    }

    private static func number(_ value: Double, _ unit: String) -> String {
        NumberText.format(value) + (unit.isEmpty ? "" : " \(unit)")
    }

    private static func padded(_ text: String, _ width: Int, atStart: Bool = false) -> String {
        let padding = String(repeating: " ", count: max(0, width - text.count))
        return atStart ? padding + text : text + padding
    }
}
