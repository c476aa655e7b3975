/// A JSON text as it was received.
public enum JSONValue: Sendable, Hashable {
    public struct Member: Sendable, Hashable {
        public var name: String
        public var value: JSONValue

        public init(name: String, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    case object([Member])
    case array([JSONValue])
    case string(String)
    case integer(Int64)
    /// Infinite where a lenient reader met a number that is out of range.
    case number(Double)
    case bool(Bool)
    case null

    /// What people call this kind of value.
    public var kind: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .integer, .number: "a number"
        case .bool: "a boolean"
        case .null: "null"
        }
    }

    /// The member of an object; the last of that name, as most parsers have it.
    public subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }
}

/// Where a text stops being JSON. Says nothing of what stands there: bodies hold tokens.
public struct JSONSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: String
    public var line: Int
    /// In bytes, from 1.
    public var column: Int

    public var description: String { "\(reason) at line \(line), column \(column)" }
}
