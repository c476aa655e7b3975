/// What a suite has found.
struct BenchReport: Sendable {
    /// A number worth reading.
    struct Figure: Sendable, Codable {
        var name: String
        var value: Double
        var unit: String
    }

    /// A number that has to be on the right side of a limit.
    struct Requirement: Sendable, Codable {
        enum Comparison: String, Sendable, Codable {
            case atLeast = "at_least"
            case atMost = "at_most"
            case equals
        }

        var name: String
        var value: Double
        var comparison: Comparison
        var limit: Double
        var unit: String

        var isMet: Bool {
            switch comparison {
            case .atLeast: value >= limit
            case .atMost: value <= limit
            case .equals: value == limit
            }
        }
    }

    var name: String
    var figures: [Figure] = []
    var requirements: [Requirement] = []
    /// How it was measured, so that the numbers can be judged.
    var notes: [String] = []
    /// Why nothing could be measured.
    var failure: String?

    init(_ name: String, failure: String? = nil) {
        self.name = name
        self.failure = failure
    }

    /// Also false when nothing was required: a suite that forgot to check has shown nothing.
    var isMet: Bool { failure == nil && !requirements.isEmpty && requirements.allSatisfy(\.isMet) }

    mutating func add(_ name: String, _ value: Double, _ unit: String = "") {
        figures.append(Figure(name: name, value: value, unit: unit))
    }

    mutating func add(_ name: String, _ value: Int, _ unit: String = "") {
        add(name, Double(value), unit)
    }

    mutating func require(
        _ name: String, _ value: Double, _ comparison: Requirement.Comparison, _ limit: Double, _ unit: String = ""
    ) {
        requirements.append(
            Requirement(name: name, value: value, comparison: comparison, limit: limit, unit: unit))
    }

    mutating func require(
        _ name: String, _ value: Int, _ comparison: Requirement.Comparison, _ limit: Int, _ unit: String = ""
    ) {
        require(name, Double(value), comparison, Double(limit), unit)
    }
}
