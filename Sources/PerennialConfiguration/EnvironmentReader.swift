import ConfigurationFile
import RefreshCore

/// Reads settings out of the environment; an empty variable counts as unset, as orchestrators set them.
struct EnvironmentReader {
    let environment: [String: String]
    let issues: ConfigurationIssues

    func text(_ name: String) -> String? {
        guard let value = environment[name], !value.isEmpty else { return nil }
        guard !value.utf8.contains(0) else {
            report(name, "holds a NUL character")
            return nil
        }
        return value
    }

    func bool(_ name: String) -> Bool? {
        parsed(name, "true or false") { text in
            text == "1" ? true : text == "0" ? false : BooleanText.parse(text)
        }
    }

    /// A whole number of minutes from 1 to `most`.
    func minutes(_ name: String, atMost most: Int) -> Duration? {
        parsed(name, "a whole number of minutes from 1 to \(most)") { text in
            Int(text).flatMap { (1...most).contains($0) ? .seconds($0 * 60) : nil }
        }
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, of type: Choice.Type) -> Choice? {
        parsed(name, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))") {
            Choice(rawValue: $0.lowercased())
        }
    }

    /// A secret given as such or in a file that `name` with `_FILE` names; not both.
    func secret(_ name: String) -> Secret? {
        let value = text(name)
        guard let file = text("\(name)_FILE") else { return value.map { Secret($0) } }
        guard value == nil else {
            report("\(name)_FILE", "\(name) is set as well: set only one of them", .contradiction)
            return nil
        }
        do {
            return Secret(try BoundedFile.readSecret(file))
        } catch {
            report("\(name)_FILE", error.description, .unreadable)
            return nil
        }
    }

    func report(_ name: String, _ message: String, _ code: ConfigurationIssue.Code = .invalidValue) {
        issues.report(ConfigurationIssue(code, at: .environment(name), message))
    }

    private func parsed<T>(_ name: String, _ expected: String, _ parse: (String) -> T?) -> T? {
        guard let text = text(name) else { return nil }
        if let value = parse(text) { return value }
        report(name, "\(Quoted.text(text)) is not \(expected)")
        return nil
    }
}
