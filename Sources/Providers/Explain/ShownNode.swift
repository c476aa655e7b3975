import JSONText

/// A part of a document for people, as YAML with a remark behind each value, or as JSON without.
indirect enum ShownNode {
    case value(JSONValue)
    case mapping([Member])
    /// Each element on a line of its own.
    case list([(value: JSONValue, remark: String?)])

    struct Member {
        var key: String
        var node: ShownNode
        var remark: String?
    }

    var json: JSONValue {
        switch self {
        case .value(let value): value
        case .mapping(let members): .object(members.map { JSONValue.Member(name: $0.key, value: $0.node.json) })
        case .list(let elements): .array(elements.map(\.value))
        }
    }

    /// - Parameter depth: levels of indentation, of two blanks.
    func yaml(depth: Int = 0) -> [String] {
        let indent = String(repeating: "  ", count: depth)
        func line(_ text: String, _ remark: String?) -> String {
            "\(indent)\(text)" + (remark.map { "  # \($0)" } ?? "")
        }
        switch self {
        case .value(let value): return [line(YAMLText.flow(value), nil)]
        case .list(let elements): return elements.map { line("- \(YAMLText.flow($0.value))", $0.remark) }
        case .mapping(let members):
            return members.flatMap { member -> [String] in
                let key = YAMLText.scalar(member.key)
                switch member.node {
                case .value(let value): return [line("\(key): \(YAMLText.flow(value))", member.remark)]
                case .mapping(let inner) where inner.isEmpty: return [line("\(key): {}", member.remark)]
                case .list(let inner) where inner.isEmpty: return [line("\(key): []", member.remark)]
                default: return [line("\(key):", member.remark)] + member.node.yaml(depth: depth + 1)
                }
            }
        }
    }
}

/// YAML in flow style, which this program reads back as it was: a dollar sign is doubled, so that nothing is taken for a
/// variable of the environment.
enum YAMLText {
    static func flow(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): scalar(text)
        case .array(let elements): "[\(elements.map(flow).joined(separator: ", "))]"
        case .object(let members):
            members.isEmpty
                ? "{}" : "{ \(members.map { "\(scalar($0.name)): \(flow($0.value))" }.joined(separator: ", ")) }"
        default: value.serialized
        }
    }

    static func scalar(_ text: String) -> String {
        let words: Set<String> = ["true", "false", "null", "yes", "no", "on", "off", "~"]
        let isPlain =
            !text.isEmpty && !words.contains(text.lowercased())
            && text.utf8.allSatisfy { HTTPText.isAlphanumeric($0) || "_-./".utf8.contains($0) }
            && text.utf8.first.map { HTTPText.isAlphanumeric($0) && !(0x30...0x39).contains($0) || $0 == 0x2F } == true
        return isPlain || isMeasure(text) ? text : HTTPText.jsonString(text.replacing("$", with: "$$"))
    }

    /// A number with its unit, as `30s` or `5xx`.
    private static func isMeasure(_ text: String) -> Bool {
        let unit = text.drop { $0.isASCII && $0.isNumber }
        return unit.count < text.count && ["ms", "s", "m", "h", "d", "xx"].contains(unit)
    }
}
