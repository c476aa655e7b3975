import FoundationEssentials

/// Reports as one JSON object.
enum ReportJSON {
    private struct Document: Encodable {
        struct Suite: Encodable {
            var name: String
            var met: Bool
            var figures: [BenchReport.Figure]
            var requirements: [Requirement]
            var notes: [String]
            var failure: String?
        }

        struct Requirement: Encodable {
            var name: String
            var value: Double
            var comparison: BenchReport.Requirement.Comparison
            var limit: Double
            var unit: String
            var met: Bool
        }

        var met: Bool
        var suites: [Suite]
    }

    static func render(_ reports: [BenchReport]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(met: reports.allSatisfy(\.isMet), suites: reports.map(suite))
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    private static func suite(_ report: BenchReport) -> Document.Suite {
        Document.Suite(
            name: report.name, met: report.isMet, figures: report.figures,
            requirements: report.requirements.map {
                Document.Requirement(
                    name: $0.name, value: $0.value, comparison: $0.comparison, limit: $0.limit, unit: $0.unit,
                    met: $0.isMet)
            },
            notes: report.notes, failure: report.failure)
    }
}
