import JSONText

/// Names one value in a JSON document (RFC 6901).
public struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    /// Without the slashes before them, and with `~1` and `~0` undone.
    let tokens: [String]

    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    static let maximumLength = 512

    /// - Throws: ``Malformed`` when `text` does not begin with `/`, has a `~` that is neither `~0` nor `~1`, or is too
    ///   long. The empty pointer, which names the whole document, is refused too: no single value is all of an answer.
    public init(_ text: String) throws(Malformed) {
        guard text.hasPrefix("/") else {
            let sketch = text.hasPrefix("$.") ? String(text.dropFirst(2)) : text
            let isPath =
                !sketch.isEmpty && sketch.utf8.allSatisfy { HTTPText.isAlphanumeric($0) || "_-.".utf8.contains($0) }
            let example = isPath ? "/" + sketch.replacing(".", with: "/") : "/access_token"
            throw Malformed(
                description: "can never match: a JSON pointer begins with /; write \(example) (RFC 6901)")
        }
        guard text.utf8.count <= Self.maximumLength else {
            throw Malformed(description: "is longer than \(Self.maximumLength) bytes")
        }
        var tokens: [String] = []
        for token in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            var result = ""
            var rest = token
            while let tilde = rest.firstIndex(of: "~") {
                result += rest[..<tilde]
                rest = rest[tilde...].dropFirst()
                switch rest.popFirst() {
                case "0": result += "~"
                case "1": result += "/"
                default:
                    throw Malformed(
                        description: "has a ~ that is neither ~0 nor ~1: write ~0 for ~ and ~1 for / (RFC 6901 §3)")
                }
            }
            tokens.append(result + rest)
        }
        self.tokens = tokens
    }

    init(tokens: [String]) {
        self.tokens = tokens
    }

    public var description: String {
        tokens.map { "/" + $0.replacing("~", with: "~0").replacing("/", with: "~1") }.joined()
    }

    /// The value it names in `document`; nil where there is none.
    package func value(in document: JSONValue) -> JSONValue? {
        var value = document
        for token in tokens {
            switch value {
            case .object:
                guard let member = value[token] else { return nil }
                value = member
            case .array(let elements):
                // RFC 6901 §4: digits without leading zeros; "-" is the element after the last, which there is not.
                guard token == "0" || !token.hasPrefix("0"), (1...9).contains(token.utf8.count),
                    token.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let index = Int(token),
                    elements.indices.contains(index)
                else { return nil }
                value = elements[index]
            default: return nil
            }
        }
        return value
    }
}

extension JSONValue {
    /// A text, a number or a truth value as text; nil for everything else.
    package var scalarText: String? {
        switch self {
        case .string(let text): text
        case .integer(let number): String(number)
        case .number(let number): Int64(exactly: number).map { String($0) } ?? "\(number)"
        case .bool(let value): value ? "true" : "false"
        case .object, .array, .null: nil
        }
    }

    /// A text that is not empty.
    var nonEmptyText: String? {
        if case .string(let text) = self, !text.isEmpty { text } else { nil }
    }
}
