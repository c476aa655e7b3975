import FoundationEssentials

/// The table, for people and for programs.
struct ConformanceReport: Sendable, Encodable {
    var lines: [TableLine]
    /// What is wrong with the instances as a whole: one that ended, or crashed.
    var incidents: [String]
    var seconds: Double
    /// Where logs and data are, if they have been kept.
    var files: String?
    var passed: Bool

    init(lines: [TableLine], incidents: [String], seconds: Double) {
        self.lines = lines
        self.incidents = incidents
        self.seconds = seconds
        passed = incidents.isEmpty && !lines.isEmpty && lines.allSatisfy { $0.cells.allSatisfy { $0.state != .red } }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    var text: String {
        let width = (lines.map(\.row.count).max() ?? 0) + 2
        var text = [Self.pad("", width) + Column.allCases.map { Self.pad($0.heading, 10) }.joined()]
        for line in lines {
            text.append(
                Self.pad(line.row, width)
                    + line.cells.map { cell in
                        switch cell.state {
                        case .green: Self.pad("ok \(cell.trials)", 10)
                        case .red: Self.pad("RED", 10)
                        case .notApplicable: Self.pad("-", 10)
                        }
                    }.joined())
        }
        text += ["", "A number counts the trials of a cell."]
        text += reasons
        text += failures
        text.append("")
        text.append(passed ? "PASSED in \(Int(seconds.rounded())) s" : "FAILED after \(Int(seconds.rounded())) s")
        if let files { text.append("Logs and data: \(files)") }
        return text.joined(separator: "\n")
    }

    /// Why cells do not apply; one line for each reason.
    private var reasons: [String] {
        var order: [String] = []
        var columns: [String: [String]] = [:]
        var rows: [String: [String]] = [:]
        for line in lines {
            let row = line.variationOf.map { "variations of \($0)" } ?? line.row
            for cell in line.cells {
                guard let reason = cell.reason else { continue }
                if columns[reason] == nil { order.append(reason) }
                if !columns[reason, default: []].contains(cell.column.heading) {
                    columns[reason, default: []].append(cell.column.heading)
                }
                if !rows[reason, default: []].contains(row) { rows[reason, default: []].append(row) }
            }
        }
        return order.map { reason in
            "-  \((rows[reason] ?? []).joined(separator: ", ")); \((columns[reason] ?? []).joined(separator: ", ")): "
                + reason
        }
    }

    private var failures: [String] {
        var text: [String] = []
        for line in lines {
            for cell in line.cells where cell.state == .red {
                text += ["", "\(line.row), \(cell.column.rawValue):"] + cell.findings.map { "  \($0)" }
            }
        }
        if !incidents.isEmpty { text += ["", "instances:"] + incidents.map { "  \($0)" } }
        return text
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
