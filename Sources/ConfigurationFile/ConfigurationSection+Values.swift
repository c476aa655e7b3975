internal import Yams

extension ConfigurationSection {
    /// A text that is not empty.
    ///
    /// - Parameter secret: keeps the value out of every message.
    public func string(_ key: String, secret: Bool = false) -> String? {
        guard let scalar = scalar(key), let value = substitute(scalar, key: fullPath(key)) else { return nil }
        guard !value.isEmpty else {
            reportInvalid(key, "is empty")
            return nil
        }
        guard !value.utf8.contains(0) else {
            reportInvalid(key, "holds a NUL character")
            return nil
        }
        return value
    }

    /// `true` or `false`; also `yes`, `no`, `on`, `off` as in YAML 1.1.
    public func bool(_ key: String) -> Bool? {
        parsed(key, "true or false") { BooleanText.parse($0) }
    }

    /// A whole number in `range`.
    public func int(_ key: String, in range: ClosedRange<Int>) -> Int? {
        parsed(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// A number with its unit: `500ms`, `20s`, `5m`, `1h`, `2d`.
    public func duration(_ key: String, in range: ClosedRange<Duration>) -> Duration? {
        guard let duration = parsed(key, "a duration: write for example 60s or 5m", { DurationText.parse($0) }) else {
            return nil
        }
        guard range.contains(duration) else {
            let (least, most) = (DurationText.format(range.lowerBound), DurationText.format(range.upperBound))
            reportInvalid(key, "has to be between \(least) and \(most)")
            return nil
        }
        return duration
    }

    /// One of the raw values of `Choice`.
    public func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, of type: Choice.Type = Choice.self
    ) -> Choice? {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return parsed(key, "one of \(names)") { Choice(rawValue: $0) }
    }

    /// A list of texts.
    public func strings(_ key: String) -> [String]? {
        guard contains(key) else { return nil }
        var values: [String] = []
        elements(
            key,
            text: { text, _ in values.append(text) },
            mapping: {
                $0.report(.invalidValue, "has to be a text"); _ = $0.keys
            })
        return values
    }

    /// A text, or a list of texts.
    public func oneOrMany(_ key: String) -> [String]? {
        guard let entry = entry(key) else { return nil }
        if case .sequence = entry.value { return strings(key) }
        return string(key).map { [$0] }
    }

    /// A mapping of names to texts, in the order of the file.
    ///
    /// - Parameter secret: keeps the values out of every message.
    public func texts(_ key: String, secret: Bool = false) -> [(name: String, value: String)]? {
        section(key) { section in
            section.keys.compactMap { name in
                section.string(name, secret: secret).map { (name: name, value: $0) }
            }
        }
    }

    /// Reads a text with `parse`, whose nil is reported as "is not `expected`".
    public func parsed<T>(_ key: String, _ expected: String, _ parse: (String) -> T?) -> T? {
        guard let scalar = scalar(key), let text = substitute(scalar, key: fullPath(key)) else { return nil }
        if let value = parse(text) { return value }
        // As written in the file: what a variable was replaced by may be a secret.
        reportInvalid(key, "\(Quoted.text(scalar.string)) is not \(expected)")
        return nil
    }

    /// Whether `key` holds a mapping rather than a text.
    public func isSection(_ key: String) -> Bool {
        guard let entry = entry(key), case .mapping = entry.value else { return false }
        return true
    }

    private func scalar(_ key: String) -> Node.Scalar? {
        guard let entry = entry(key) else { return nil }
        guard case .scalar(let scalar) = entry.value else {
            let what = if case .mapping = entry.value { "a mapping" } else { "a list" }
            reportInvalid(key, "has to be a single value, not \(what)")
            return nil
        }
        guard !Self.isNull(entry.value) else {
            reportInvalid(key, "has no value")
            return nil
        }
        return scalar
    }
}

/// Booleans as people write them in files and in the environment.
public enum BooleanText {
    public static func parse(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }
}

/// A malformed value as it is repeated in a message: in quotes, on one line, cut short.
public enum Quoted {
    public static func text(_ value: String) -> String {
        var shown = ""
        for scalar in value.unicodeScalars.prefix(60) {
            switch scalar.properties.generalCategory {
            case .control, .format, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: shown += "?"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return "\"\(shown)\(value.unicodeScalars.count > 60 ? "…" : "")\""
    }
}
