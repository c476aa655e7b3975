/// Writes Prometheus's text format 0.0.4.
struct ExpositionText {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ name: String, _ family: MetricFamily) {
        header(name, family.kind)
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
            switch series {
            case let counter as CounterSeries: line(name, labels, counter.value)
            case let gauge as GaugeSeries: line(name, labels, gauge.value)
            case let histogram as HistogramSeries: append(name, labels, histogram)
            default: break
            }
        }
    }

    mutating func appendCounter(_ name: String, _ value: Int) {
        header(name, .counter)
        line(name, LabelSet([]), Double(value))
    }

    /// Buckets hold all that is not above their bound, so each counts those before it too.
    private mutating func append(_ name: String, _ labels: LabelSet, _ histogram: HistogramSeries) {
        let counts = histogram.snapshot
        var total = 0
        for (index, count) in counts.buckets.enumerated() {
            total += count
            let bound = index < histogram.bounds.count ? number(histogram.bounds[index]) : "+Inf"
            line(name + "_bucket", labels, Double(total), bound: bound)
        }
        line(name + "_sum", labels, counts.sum)
        line(name + "_count", labels, Double(total))
    }

    private mutating func header(_ name: String, _ kind: MetricKind) {
        bytes.append(contentsOf: "# TYPE \(name) \(kind.rawValue)\n".utf8)
    }

    private mutating func line(_ name: String, _ set: LabelSet, _ value: Double, bound: String? = nil) {
        var labels = set.labels.map { "\($0.name)=\"\(escaped($0.value))\"" }
        if let bound { labels.append("le=\"\(bound)\"") }
        let text = labels.isEmpty ? "" : "{" + labels.joined(separator: ",") + "}"
        bytes.append(contentsOf: "\(name)\(text) \(number(value))\n".utf8)
    }

    private func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == 0x0A }) else {
            return value
        }
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? String(value)
    }
}
