import RefreshCore

/// The parameters of a query string, taken out one by one, so that what is left over can be refused by name.
struct RequestQuery {
    private var values: [String: String] = [:]

    /// - Throws: ``Problem`` (400) for a parameter that is malformed or given twice.
    init(_ query: Substring?) throws(Problem) {
        guard let query, !query.isEmpty else { return }
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Hexadecimal.decodePercent(parts[0]),
                let value = Hexadecimal.decodePercent(parts.count > 1 ? parts[1] : "")
            else { throw Problem(.malformedRequest, "the query is not percent-encoded UTF-8") }
            guard values.updateValue(value, forKey: name) == nil else {
                throw Problem(.malformedRequest, "the query has \(JSONFields.shown(name)) twice")
            }
        }
    }

    mutating func take(_ name: String) -> String? { values.removeValue(forKey: name) }

    /// - Throws: ``Problem`` (400) unless the value is a whole number in `range`.
    mutating func integer(_ name: String, in range: ClosedRange<Int64>) throws(Problem) -> Int64? {
        guard let text = take(name) else { return nil }
        return try Self.integer(text, name: name, in: range)
    }

    static func integer(_ text: String, name: String, in range: ClosedRange<Int64>) throws(Problem) -> Int64 {
        // Int64 alone would take a sign, which no query of this API has.
        guard text.utf8.first.map({ (0x30...0x39).contains($0) }) == true, let value = Int64(text),
            range.contains(value)
        else {
            throw Problem(
                .malformedRequest, "\(name) has to be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// - Throws: ``Problem`` (400) naming a parameter that nobody has taken.
    func finish(allowed: [String]) throws(Problem) {
        guard let name = values.keys.min() else { return }
        let known = allowed.isEmpty ? "none are allowed here" : "allowed are \(allowed.joined(separator: ", "))"
        throw Problem(.malformedRequest, "unknown parameter \(JSONFields.shown(name)): \(known)")
    }
}
