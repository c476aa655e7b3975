/// One thing that is wrong with the configuration: where it stands, what it is about, and what to do.
///
/// The message never repeats a value that was read as a secret or came out of the environment.
public struct ConfigurationIssue: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of issue. Open to new kinds, so switch with a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// A stable lower-case word.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// A file is missing, cannot be read, or is too large.
        public static let unreadable = Code("unreadable")
        /// The text is not the YAML that is accepted here.
        public static let syntax = Code("syntax")
        /// No such key exists in that place.
        public static let unknownKey = Code("unknown_key")
        public static let duplicateKey = Code("duplicate_key")
        public static let invalidValue = Code("invalid_value")
        /// Something that is needed was not given.
        public static let missing = Code("missing")
        /// Values that cannot hold together.
        public static let contradiction = Code("contradiction")
        /// A `${NAME}` that cannot be replaced.
        public static let substitution = Code("substitution")
        /// Values that are each fine, but with which it is not safe to serve.
        public static let unsafeToServe = Code("unsafe_to_serve")
    }

    /// Where a value was given.
    public enum Origin: Sendable, Hashable, CustomStringConvertible {
        /// Line and column count from 1; columns count Unicode scalars.
        case file(String, line: Int?, column: Int?)
        case environment(String)
        case flag(String)
        /// The configuration as a whole.
        case none

        public var description: String {
            switch self {
            case .file(let name, let line?, let column?): "\(name):\(line):\(column)"
            case .file(let name, let line?, nil): "\(name):\(line)"
            case .file(let name, nil, _): name
            case .environment(let name): "environment variable \(name)"
            case .flag(let name): "option \(name)"
            case .none: ""
            }
        }
    }

    public var code: Code
    public var origin: Origin
    /// Keys from the top, joined by dots; empty where the issue is not about a key.
    public var key: String
    public var message: String

    public init(_ code: Code, at origin: Origin, key: String = "", _ message: String) {
        self.code = code
        self.origin = origin
        self.key = key
        self.message = message
    }

    /// `perennial.yaml:12:5: providers.acme.skew: "6x" is not a duration: write for example 60s or 5m`
    public var description: String {
        [origin.description, key, message].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}

/// Everything that is wrong with a configuration, as far as it could be read.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Never empty; those of one file in the order of their lines.
    public let issues: [ConfigurationIssue]

    public init(_ issues: [ConfigurationIssue]) {
        self.issues = issues
    }

    public init(_ issue: ConfigurationIssue) {
        self.issues = [issue]
    }

    /// One issue a line.
    public var description: String {
        issues.map(\.description).joined(separator: "\n")
    }
}

/// Collects issues while a configuration is read, so that all are reported together.
public final class ConfigurationIssues {
    private var collected: [ConfigurationIssue] = []

    public init() {}

    public func report(_ issue: ConfigurationIssue) {
        if !collected.contains(issue) { collected.append(issue) }
    }

    public var isEmpty: Bool { collected.isEmpty }

    /// Those of files first and in the order of their lines, the others in the order of their discovery.
    public var sorted: [ConfigurationIssue] {
        func line(_ issue: ConfigurationIssue) -> (Int, Int) {
            switch issue.origin {
            case .file(_, let line, let column): (line ?? 0, column ?? 0)
            default: (.max, 0)
            }
        }
        return collected.enumerated()
            .sorted { (line($0.element), $0.offset) < (line($1.element), $1.offset) }
            .map(\.element)
    }

    /// - Throws: ``ConfigurationError`` with everything reported so far, if there is anything.
    public func throwIfAny() throws(ConfigurationError) {
        guard isEmpty else { throw ConfigurationError(sorted) }
    }
}

private func < (lhs: ((Int, Int), Int), rhs: ((Int, Int), Int)) -> Bool {
    lhs.0 != rhs.0 ? lhs.0 < rhs.0 : lhs.1 < rhs.1
}
