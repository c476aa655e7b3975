import ArgumentParser
import RefreshCore

/// The fields of an account that has no refresh token. Their values never stand on the command line.
struct FieldOptions: ParsableArguments {
    @Option(name: .customLong("field"), help: "A field of the account, asked for or read from a line of stdin.")
    var names: [String] = []

    @Option(name: .customLong("field-file"), help: "A field whose value stands in a file: NAME=PATH.")
    var files: [String] = []

    var isEmpty: Bool { names.isEmpty && files.isEmpty }

    /// - Throws: `ValidationError` for a name that is none, and when a value cannot be had.
    func read() throws -> AccountFields {
        var values: [String: Secret] = [:]
        func set(_ name: String, _ value: String) throws {
            guard !value.isEmpty else { throw CommandFailure(.local, "the field \(name) is empty") }
            guard values.updateValue(Secret(value), forKey: name) == nil else {
                throw ValidationError("the field \(name) is given twice")
            }
        }
        for entry in files {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, AccountFields.isName(parts[0]) else {
                throw ValidationError("--field-file is written NAME=PATH")
            }
            let text = String(decoding: try Terminal.read(parts[1], limit: 1 << 16), as: UTF8.self)
            try set(parts[0], Self.withoutLineEnd(text))
        }
        for name in names where !AccountFields.isName(name) {
            // What stands behind = may be the secret itself.
            throw ValidationError(
                name.contains("=")
                    ? "--field takes a name only, and its value comes from stdin: other users of the machine can see "
                        + "the command line"
                    : "--field takes a name of letters, digits and underscores")
        }
        for (name, value) in zip(names, try answers()) { try set(name, value) }
        return AccountFields(values)
    }

    /// One answer for each of `names`.
    private func answers() throws -> [String] {
        guard !names.isEmpty else { return [] }
        if Terminal.isInputTerminal {
            return try names.map { name in
                guard let answer = Terminal.ask("\(name): ") else {
                    throw CommandFailure(.local, "nothing was given for \(name)")
                }
                return answer
            }
        }
        let text = String(decoding: try Terminal.read("-", limit: 1 << 16), as: UTF8.self)
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map(String.init)
        if lines.last?.isEmpty == true { lines.removeLast() }
        guard lines.count == names.count else {
            throw CommandFailure(
                .local,
                "stdin has \(lines.count) lines for \(names.count) fields: write each value on a line of its own, "
                    + "in the order of --field")
        }
        return lines
    }

    private static func withoutLineEnd(_ text: String) -> String {
        var text = text
        while text.last?.isNewline == true { text.removeLast() }
        return text
    }
}
