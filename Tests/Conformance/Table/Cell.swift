/// What has come of one column for one provider.
struct Cell: Sendable, Encodable {
    enum State: String, Sendable, Encodable {
        case green, red
        case notApplicable = "not_applicable"
    }

    var column: Column
    var state: State
    /// How many trials the cell consists of.
    var trials = 0
    /// Why there is nothing to try.
    var reason: String?
    /// What was expected and what was seen, of each trial that failed.
    var findings: [String] = []

    init(_ column: Column, inapplicable reason: String) {
        self.column = column
        self.state = .notApplicable
        self.reason = reason
    }

    init(_ column: Column, trials: Int, findings: [String]) {
        self.column = column
        self.trials = trials
        self.findings = findings
        state = findings.isEmpty && trials > 0 ? .green : .red
        if trials == 0 { self.findings = ["nothing was tried"] }
    }
}

/// One line of the table.
struct TableLine: Sendable, Encodable {
    var row: String
    /// The row that it differs from in requests and good answers only.
    var variationOf: String?
    var cells: [Cell]
}
