/// The parameters of a query or form as they come back from a browser.
struct QueryText {
    private(set) var values: [String: String] = [:]

    /// Nil where an escape is malformed, or a parameter comes twice (RFC 6749 §3.1).
    init?(_ text: Substring) {
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts[0]), let value = Self.decoded(parts.count > 1 ? parts[1] : ""),
                values.updateValue(value, forKey: name) == nil
            else { return nil }
        }
    }

    /// Undoes `application/x-www-form-urlencoded`; nil where an escape or the UTF-8 is malformed.
    static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                let digits = rest.prefix(2)
                guard digits.count == 2, digits.allSatisfy({ HTTPText.isAlphanumeric($0) }),
                    let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// A value that is not empty.
    subscript(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A URL with further parameters behind those it has; blanks as `%20`.
    static func append(_ fields: [(name: String, value: String)], to url: String) -> String {
        let query = fields.map { field in
            "\(HTTPText.percentEncoded(field.name))=\(HTTPText.percentEncoded(field.value))"
        }
        return url + (url.contains("?") ? (url.hasSuffix("?") || url.hasSuffix("&") ? "" : "&") : "?")
            + query.joined(separator: "&")
    }
}
