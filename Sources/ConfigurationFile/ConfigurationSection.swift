internal import Yams

/// A mapping of the configuration file while it is being read.
///
/// Getters answer nil when the key is absent, and also, after reporting an issue, when its value is malformed: reading
/// goes on, so that all mistakes are reported at once. A key that nobody has asked for by the end is unknown.
public final class ConfigurationSection {
    struct Context {
        let file: String
        let environment: [String: String]?
        let issues: ConfigurationIssues
    }

    struct Entry {
        let key: String
        let keyMark: Mark?
        let value: Node
    }

    /// The last key on the way here; empty at the top.
    public let name: String
    /// Keys from the top, joined by dots; empty at the top.
    public let path: String
    /// Where the section begins.
    public let origin: ConfigurationIssue.Origin
    /// False where something else stands in the section's place, which has been reported.
    public let isMapping: Bool
    let context: Context
    private var entries: [String: Entry] = [:]
    private var order: [String] = []
    private var known: [String] = []

    init(node: Node?, name: String, path: String, origin: ConfigurationIssue.Origin?, context: Context) {
        self.name = name
        self.path = path
        self.context = context
        self.origin = origin ?? .file(context.file, line: nil, column: nil)
        guard let node, !Self.isNull(node) else {
            isMapping = true
            return
        }
        guard case .mapping(let mapping) = node else {
            isMapping = false
            let what =
                path.isEmpty
                ? "the file has to be a mapping of keys to values" : "has to be a mapping of keys to values"
            report(.invalidValue, at: Self.origin(node.mark, context), key: path, what)
            return
        }
        isMapping = true
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                report(.syntax, at: Self.origin(key.mark, context), key: path, "a key has to be a plain word")
                continue
            }
            let entry = Entry(key: scalar.string, keyMark: scalar.mark, value: value)
            // The parser tells 1 from "1"; a reader of the file does not.
            if entries.updateValue(entry, forKey: entry.key) != nil {
                report(
                    .duplicateKey, at: Self.origin(scalar.mark, context), key: fullPath(entry.key), "is given twice")
            } else {
                order.append(entry.key)
            }
        }
    }

    // MARK: Structure

    /// The keys in the order of the file, for sections whose keys are names. Asking makes all of them known.
    public var keys: [String] {
        known += order
        return order
    }

    public func contains(_ key: String) -> Bool {
        entry(key) != nil
    }

    /// Whether something stands at `path`, keys joined by dots, below this section. Makes nothing known.
    public func holds(_ path: String) -> Bool {
        let keys = path.split(separator: ".").map(String.init)
        guard let first = keys.first, let entry = entries[first] else { return false }
        var node = entry.value
        for key in keys.dropFirst() {
            guard case .mapping(let mapping) = node,
                let next = mapping.first(where: { $0.key.scalar?.string == key })
            else { return false }
            node = next.value
        }
        return !Self.isNull(node)
    }

    /// Reads a nested mapping; nil when it is absent. An empty one counts as present.
    public func section<T>(_ key: String, _ body: (ConfigurationSection) -> T) -> T? {
        guard let entry = entry(key) else { return nil }
        let section = ConfigurationSection(
            node: entry.value, name: key, path: fullPath(key), origin: Self.origin(entry.keyMark, context),
            context: context)
        let result = body(section)
        section.finish()
        return result
    }

    /// Reads a list whose elements are texts or mappings: texts are given to `text`, mappings to `mapping`.
    public func elements(
        _ key: String, text: (String, ConfigurationIssue.Origin) -> Void, mapping: (ConfigurationSection) -> Void
    ) {
        guard let entry = entry(key) else { return }
        guard case .sequence(let sequence) = entry.value else {
            reportInvalid(key, "has to be a list")
            return
        }
        for (index, node) in sequence.enumerated() {
            let path = "\(fullPath(key))[\(index)]"
            let origin = Self.origin(node.mark, context)
            switch node {
            case .mapping:
                let section = ConfigurationSection(
                    node: node, name: key, path: path, origin: origin, context: context)
                mapping(section)
                section.finish()
            case .scalar(let scalar) where !Self.isNull(node):
                if let value = substitute(scalar, key: path) { text(value, origin) }
            default:
                report(.invalidValue, at: origin, key: path, "has to be a text or a mapping")
            }
        }
    }

    /// Where the value of `key` stands, or the section where the key is absent.
    public func origin(of key: String) -> ConfigurationIssue.Origin {
        guard let entry = entries[key] else { return origin }
        return Self.origin(entry.value.mark ?? entry.keyMark, context)
    }

    /// Where the value at `path` stands, keys joined by dots, below this section; or as much of it as there is.
    public func origin(at path: String) -> ConfigurationIssue.Origin {
        let keys = path.split(separator: ".").map(String.init)
        guard let first = keys.first, let entry = entries[first] else { return origin }
        var node = entry.value
        for key in keys.dropFirst() {
            guard case .mapping(let mapping) = node,
                let next = mapping.first(where: { $0.key.scalar?.string == key })
            else { break }
            node = next.value
        }
        return Self.origin(node.mark ?? entry.keyMark, context)
    }

    // MARK: Reporting

    /// Reports an issue with the value of `key`, at its place.
    public func report(_ code: ConfigurationIssue.Code, _ key: String, _ message: String) {
        report(code, at: origin(of: key), key: fullPath(key), message)
    }

    /// Reports an issue with the section as a whole.
    public func report(_ code: ConfigurationIssue.Code, _ message: String) {
        report(code, at: origin, key: path, message)
    }

    func reportInvalid(_ key: String, _ message: String) {
        report(.invalidValue, key, message)
    }

    /// Reports an issue with what stands at `origin`.
    public func report(
        _ code: ConfigurationIssue.Code, at origin: ConfigurationIssue.Origin, key: String, _ message: String
    ) {
        context.issues.report(ConfigurationIssue(code, at: origin, key: key, message))
    }

    /// Reports the keys that nobody asked for.
    func finish() {
        let names = Set(known)
        for key in order where !names.contains(key) {
            guard let entry = entries[key] else { continue }
            let hint: String
            if let nearest = EditDistance.nearest(to: key, among: names.sorted()) {
                hint = "did you mean \(nearest)?"
            } else if names.isEmpty {
                hint = "no keys are expected here"
            } else {
                hint = "known here: \(names.sorted().joined(separator: ", "))"
            }
            report(
                .unknownKey, at: Self.origin(entry.keyMark, context), key: fullPath(key), "unknown key; \(hint)")
        }
    }

    // MARK: Plumbing of the getters

    func entry(_ key: String) -> Entry? {
        known.append(key)
        return entries[key]
    }

    func fullPath(_ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    /// The text with every `${NAME}` replaced; nil after reporting what could not be.
    func substitute(_ scalar: Node.Scalar, key: String) -> String? {
        guard let environment = context.environment else { return scalar.string }
        do {
            return try EnvironmentSubstitution.apply(to: scalar.string, environment: environment)
        } catch {
            report(.substitution, at: Self.origin(scalar.mark, context), key: key, error.description)
            return nil
        }
    }

    static func origin(_ mark: Mark?, _ context: Context) -> ConfigurationIssue.Origin {
        .file(context.file, line: mark?.line, column: mark?.column)
    }

    static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}
