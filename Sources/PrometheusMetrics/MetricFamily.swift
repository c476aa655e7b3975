/// All series of one name: they are of one kind, and differ in their labels.
struct MetricFamily: Sendable {
    let kind: MetricKind
    var series: [LabelSet: any Series] = [:]

    init(kind: MetricKind) { self.kind = kind }
}

enum MetricKind: String, Sendable {
    case counter, gauge, histogram
}

/// The labels of a series, in the order of their names.
struct LabelSet: Sendable, Hashable {
    struct Label: Sendable, Hashable {
        var name: String
        var value: String
    }

    let labels: [Label]

    init(_ dimensions: [(String, String)]) {
        labels = dimensions.map { Label(name: MetricName.label($0.0), value: $0.1) }.sorted { $0.name < $1.name }
    }

    static func < (left: LabelSet, right: LabelSet) -> Bool {
        left.labels.lexicographicallyPrecedes(right.labels) { ($0.name, $0.value) < ($1.name, $1.value) }
    }
}

/// Names as Prometheus takes them: what may not stand in one becomes a `_`.
///
/// Source: <https://prometheus.io/docs/concepts/data_model/>
enum MetricName {
    static func metric(_ text: String) -> String { made(of: text, besides: ":") }

    static func label(_ text: String) -> String { made(of: text, besides: "") }

    private static func made(of text: String, besides others: String) -> String {
        var name = ""
        for character in text {
            let isLetter = character.isASCII && (character.isLetter || character == "_" || others.contains(character))
            let isDigit = character.isASCII && character.isNumber
            if isDigit, name.isEmpty { name = "_" }
            name.append(isLetter || isDigit ? character : "_")
        }
        return name.isEmpty ? "_" : name
    }
}
