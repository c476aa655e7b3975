import JSONText

/// The members of a received object, taken out one by one, so that what is left over can be refused by name.
struct JSONFields {
    private var members: [String: JSONValue] = [:]

    /// - Throws: ``Problem`` (400) when the text is not one JSON object or names a field twice.
    init(_ bytes: [UInt8]) throws(Problem) {
        let value: JSONValue
        do {
            value = try JSONReader.parse(bytes)
        } catch {
            throw Problem(.malformedBody, "the body is not JSON: \(error)")
        }
        try self.init(value, what: "the body")
    }

    /// - Parameter what: what the value is called in errors.
    /// - Throws: ``Problem`` (400) when the value is no object or names a field twice.
    init(_ value: JSONValue, what: String) throws(Problem) {
        guard case .object(let list) = value else {
            throw Problem(.malformedBody, "\(what) has to be a JSON object, not \(value.kind)")
        }
        for member in list where members.updateValue(member.value, forKey: member.name) != nil {
            throw Problem(.malformedBody, "\(what) has \(Self.shown(member.name)) twice")
        }
    }

    /// The value of a field where null means something of its own; nil when the field is absent.
    mutating func takeNullable(_ name: String) -> JSONValue? { members.removeValue(forKey: name) }

    /// The names of the fields that nobody has taken, in order.
    var names: [String] { members.keys.sorted() }

    /// The value of a field; null counts as absent.
    mutating func take(_ name: String) -> JSONValue? {
        guard let value = members.removeValue(forKey: name), value != .null else { return nil }
        return value
    }

    mutating func string(_ name: String) throws(Problem) -> String? {
        switch take(name) {
        case .none: return nil
        case .string(let text): return text
        case .some(let other): throw Problem(.malformedBody, "\(name) has to be a string, not \(other.kind)")
        }
    }

    mutating func bool(_ name: String) throws(Problem) -> Bool? {
        switch take(name) {
        case .none: return nil
        case .bool(let value): return value
        case .some(let other): throw Problem(.malformedBody, "\(name) has to be true or false, not \(other.kind)")
        }
    }

    /// - Throws: ``Problem`` (400) naming a field that nobody has taken.
    func finish(allowed: [String]) throws(Problem) {
        guard let name = members.keys.min() else { return }
        throw Problem(
            .malformedBody, "unknown field \(Self.shown(name)): allowed are \(allowed.joined(separator: ", "))")
    }

    /// A field's name as far as it can be shown: what does not look like a name may be a token in the wrong place.
    static func shown(_ name: String) -> String {
        let isPlain =
            (1...40).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        return isPlain ? "\"\(name)\"" : "(a name of \(name.utf8.count) bytes, not shown)"
    }
}
