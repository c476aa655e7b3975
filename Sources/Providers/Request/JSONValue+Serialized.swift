public import JSONText

extension JSONValue {
    /// As JSON (RFC 8259), without blanks.
    public var serialized: String {
        switch self {
        case .object(let members):
            "{\(members.map { "\(HTTPText.jsonString($0.name)):\($0.value.serialized)" }.joined(separator: ","))}"
        case .array(let elements): "[\(elements.map(\.serialized).joined(separator: ","))]"
        case .string(let text): HTTPText.jsonString(text)
        case .integer(let number): String(number)
        case .number(let number): number.isFinite ? "\(number)" : "null"
        case .bool(let value): value ? "true" : "false"
        case .null: "null"
        }
    }
}
