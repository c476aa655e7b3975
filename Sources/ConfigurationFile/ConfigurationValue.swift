internal import Yams

/// A value of any shape, with its place: for keys whose value is a document of its own, as the JSON body of a request.
public struct ConfigurationValue {
    public indirect enum Content {
        case null
        /// - Parameter isPlain: whether it stands without quotes, so that YAML may take it for a number or a truth value.
        case text(String, isPlain: Bool)
        case list([ConfigurationValue])
        /// In the order of the file.
        case mapping([(name: String, value: ConfigurationValue)])
    }

    public let content: Content
    public let origin: ConfigurationIssue.Origin
    /// Keys from the top, joined by dots, list elements as `[0]`.
    public let path: String
    /// The text as the file has it, before anything was replaced in it.
    public let written: String?

    /// The text, where it is one.
    public var text: String? {
        if case .text(let text, _) = content { text } else { nil }
    }

    /// What people call this kind of value.
    public var kind: String {
        switch content {
        case .null: "nothing"
        case .text: "a text"
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }
}

extension ConfigurationSection {
    /// The value of `key` as it stands, with every `${NAME}` in its texts replaced; nil when it is absent, and after
    /// reporting what could not be replaced.
    public func value(_ key: String) -> ConfigurationValue? {
        guard let entry = entry(key) else { return nil }
        return value(of: entry.value, path: fullPath(key), mark: entry.keyMark)
    }

    /// Whether `key` is given without a value (`key:` or `key: null`): for names that take away what a preset brings.
    public func isNull(_ key: String) -> Bool {
        guard let entry = entry(key) else { return false }
        return Self.isNull(entry.value)
    }

    /// Whether `key` holds a list.
    public func isList(_ key: String) -> Bool {
        guard let entry = entry(key), case .sequence = entry.value else { return false }
        return true
    }

    /// Reports an issue with a value that ``value(_:)`` gave.
    public func report(_ code: ConfigurationIssue.Code, _ value: ConfigurationValue, _ message: String) {
        report(code, at: value.origin, key: value.path, message)
    }

    /// A piece of a text that ``value(_:)`` gave, with every `${NAME}` in it replaced; nil after reporting what could not
    /// be. For texts in which only some pieces are the operator's own.
    public func substituted(_ piece: String, in value: ConfigurationValue) -> String? {
        guard let environment = context.environment else { return piece }
        do {
            return try EnvironmentSubstitution.apply(to: piece, environment: environment)
        } catch {
            report(.substitution, value, error.description)
            return nil
        }
    }

    private func value(of node: Node, path: String, mark: Mark?) -> ConfigurationValue? {
        let origin = Self.origin(node.mark ?? mark, context)
        func value(_ content: ConfigurationValue.Content) -> ConfigurationValue {
            ConfigurationValue(content: content, origin: origin, path: path, written: node.scalar?.string)
        }
        if Self.isNull(node) { return value(.null) }
        switch node {
        case .scalar(let scalar):
            guard let text = substitute(scalar, key: path) else { return nil }
            return value(.text(text, isPlain: scalar.style == .plain || scalar.style == .any))
        case .sequence(let sequence):
            var elements: [ConfigurationValue] = []
            for (index, element) in sequence.enumerated() {
                guard let read = self.value(of: element, path: "\(path)[\(index)]", mark: mark) else { return nil }
                elements.append(read)
            }
            return value(.list(elements))
        case .mapping(let mapping):
            var members: [(name: String, value: ConfigurationValue)] = []
            for (key, element) in mapping {
                guard case .scalar(let name) = key else {
                    report(.syntax, at: Self.origin(key.mark, context), key: path, "a key has to be a plain word")
                    return nil
                }
                guard let read = self.value(of: element, path: "\(path).\(name.string)", mark: name.mark) else {
                    return nil
                }
                members.append((name.string, read))
            }
            return value(.mapping(members))
        default:
            report(.syntax, at: origin, key: path, "is no text, list or mapping")
            return nil
        }
    }
}
