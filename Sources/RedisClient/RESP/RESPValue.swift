/// A reply in RESP2, the protocol of every Redis server. See <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
public enum RESPValue: Sendable, Hashable {
    case simpleString(String)
    case error(RedisServerError)
    case integer(Int64)
    case bulkString([UInt8])
    case array([RESPValue])
    /// The null bulk string and the null array: RESP2 has both and they mean the same.
    case null
}

extension RESPValue {
    /// The text of a simple or bulk string (invalid UTF-8 is repaired), or the digits of an integer; otherwise nil.
    public var string: String? {
        switch self {
        case .simpleString(let text): text
        case .bulkString(let bytes): String(decoding: bytes, as: UTF8.self)
        case .integer(let value): String(value)
        case .error, .array, .null: nil
        }
    }

    /// The bytes of a simple or bulk string; otherwise nil.
    public var bytes: [UInt8]? {
        switch self {
        case .simpleString(let text): Array(text.utf8)
        case .bulkString(let bytes): bytes
        case .integer, .error, .array, .null: nil
        }
    }

    /// An integer, also one written as the decimal digits of a string; otherwise nil.
    public var int: Int64? {
        switch self {
        case .integer(let value): value
        case .simpleString(let text): Int64(text)
        case .bulkString(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
        case .error, .array, .null: nil
        }
    }

    public var array: [RESPValue]? {
        if case .array(let elements) = self { return elements }
        return nil
    }

    public var isNull: Bool { self == .null }

    /// The error of an error reply; otherwise nil.
    public var serverError: RedisServerError? {
        if case .error(let error) = self { return error }
        return nil
    }
}
