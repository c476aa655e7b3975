import NIOCore

/// JSON to be written, with its members in the order given.
enum DoubleJSON: Sendable, Hashable {
    case object([Member])
    case array([DoubleJSON])
    case text(String)
    case number(Int64)
    case bool(Bool)
    case null
    /// Written as it is, so that it need not be JSON at all.
    case raw(String)

    struct Member: Sendable, Hashable {
        var name: String
        var value: DoubleJSON
    }

    /// With these members after its own, where it is an object.
    func adding(_ name: String, _ value: DoubleJSON?) -> DoubleJSON {
        guard case .object(let members) = self, let value else { return self }
        return .object(members + [Member(name: name, value: value)])
    }

    var buffer: ByteBuffer {
        var buffer = ByteBuffer()
        write(to: &buffer)
        return buffer
    }

    private func write(to buffer: inout ByteBuffer) {
        switch self {
        case .object(let members):
            buffer.writeStaticString("{")
            for (index, member) in members.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                buffer.writeJSON(member.name)
                buffer.writeStaticString(":")
                member.value.write(to: &buffer)
            }
            buffer.writeStaticString("}")
        case .array(let elements):
            buffer.writeStaticString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { buffer.writeStaticString(",") }
                element.write(to: &buffer)
            }
            buffer.writeStaticString("]")
        case .text(let text): buffer.writeJSON(text)
        case .number(let number): buffer.writeJSON(number)
        case .bool(let bool): buffer.writeString("\(bool)")
        case .null: buffer.writeStaticString("null")
        case .raw(let text): buffer.writeString(text)
        }
    }
}

extension DoubleJSON: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    init(dictionaryLiteral members: (String, DoubleJSON)...) {
        self = .object(members.map { Member(name: $0.0, value: $0.1) })
    }

    init(arrayLiteral elements: DoubleJSON...) { self = .array(elements) }
    init(stringLiteral text: String) { self = .text(text) }
    init(integerLiteral number: Int64) { self = .number(number) }
    init(booleanLiteral bool: Bool) { self = .bool(bool) }
    init(nilLiteral: ()) { self = .null }
}
