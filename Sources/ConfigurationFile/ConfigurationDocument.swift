internal import Yams

/// A YAML text that was found to be well-formed: one document, whose root is a mapping, or nothing at all.
public struct ConfigurationDocument {
    /// Larger files are refused, in bytes.
    public static let maximumSize = 1 << 20

    let root: Node?
    let file: String

    /// - Parameter file: how messages call it, as a rule its path.
    /// - Throws: ``ConfigurationError`` when `bytes` are too many, not UTF-8, not YAML, more than one document, or use
    ///   anchors, aliases, the same key twice, or nesting beyond reason.
    public init(_ bytes: [UInt8], file: String) throws(ConfigurationError) {
        self.file = file
        func refusal(_ message: String, line: Int? = nil, column: Int? = nil) -> ConfigurationError {
            ConfigurationError(
                ConfigurationIssue(.syntax, at: .file(file, line: line, column: column), message))
        }
        guard bytes.count <= Self.maximumSize else {
            throw refusal("has \(bytes.count) bytes, at most \(Self.maximumSize) are allowed")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line = Self.firstInvalidLine(bytes)
            throw refusal("is not UTF-8 text: save it as UTF-8", line: line)
        }
        do {
            try YAMLGuard.check(bytes)
        } catch {
            throw refusal(error.message, line: error.line, column: error.column)
        }
        do {
            let parser = try Parser(yaml: text, encoding: .utf8)
            self.root = try parser.singleRoot()
        } catch {
            throw ConfigurationError(Self.issue(for: error, file: file))
        }
    }

    /// - Throws: ``ConfigurationError`` also when the file cannot be read.
    public init(contentsOf path: String) throws(ConfigurationError) {
        let bytes: [UInt8]
        do {
            bytes = try BoundedFile.read(path, limit: Self.maximumSize)
        } catch {
            throw ConfigurationError(
                ConfigurationIssue(.unreadable, at: .file(path, line: nil, column: nil), error.description))
        }
        try self.init(bytes, file: path)
    }

    /// Reads the document's keys in `body`; a key that `body` did not ask for is reported as unknown.
    ///
    /// - Parameters:
    ///   - environment: what `${NAME}` is replaced from; nil leaves it as it stands.
    ///   - issues: where everything that is wrong goes; the caller decides when to throw it.
    public func read<T>(
        environment: [String: String]?, issues: ConfigurationIssues, _ body: (ConfigurationSection) -> T
    ) -> T {
        let context = ConfigurationSection.Context(file: file, environment: environment, issues: issues)
        let section = ConfigurationSection(node: root, name: "", path: "", origin: nil, context: context)
        let result = body(section)
        section.finish()
        return result
    }

    /// Never with the lines around the problem: they may hold a secret.
    private static func issue(for error: any Error, file: String) -> ConfigurationIssue {
        func issue(_ problem: String, _ mark: Mark?, _ code: ConfigurationIssue.Code = .syntax) -> ConfigurationIssue {
            ConfigurationIssue(code, at: .file(file, line: mark?.line, column: mark?.column), problem)
        }
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let place = context.map { " (\($0.text))" } ?? ""
            return issue("is not valid YAML: \(problem)\(place)", mark)
        case .duplicatedKeysInMapping(let duplicates, let context):
            return issue("the key \(duplicates.joined(separator: ", ")) is given twice", context.mark, .duplicateKey)
        case .reader(let problem, _, _, _):
            return issue("is not valid YAML: \(problem)", nil)
        default:
            return issue("is not valid YAML", nil)
        }
    }

    private static func firstInvalidLine(_ bytes: [UInt8]) -> Int {
        var line = 1
        for text in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            if String(validating: text, as: UTF8.self) == nil { break }
            line += 1
        }
        return line
    }
}
