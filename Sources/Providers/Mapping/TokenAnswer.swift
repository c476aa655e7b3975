import JSONText

/// The body of a token endpoint's answer, read by a ``ResponseMapping``. A value of an unexpected type counts as absent.
struct TokenAnswer {
    let document: JSONValue
    let mapping: ResponseMapping

    /// Bodies beyond this many bytes are not looked at: no token endpoint has so much to say.
    static let maximumSize = 1 << 20

    /// Objects and arrays in each other.
    static let maximumDepth = 64

    /// Nil when `body` is no JSON object.
    static func parse(_ body: [UInt8], _ mapping: ResponseMapping) -> TokenAnswer? {
        guard let document = document(of: body), case .object = document else { return nil }
        return TokenAnswer(document: document, mapping: mapping)
    }

    /// Nil when `body` is no JSON.
    static func document(of body: [UInt8]) -> JSONValue? {
        guard !body.isEmpty, body.count <= maximumSize else { return nil }
        return try? JSONReader.parse(body, .lenient, maximumDepth: maximumDepth)
    }

    var accessToken: String? { text(mapping.accessToken) }
    var refreshToken: String? { text(mapping.refreshToken) }
    var tokenType: String? { text(mapping.tokenType) }
    var errorDescription: String? { text(mapping.errorDescription) }

    /// The most telling first.
    var errorCodes: [String] {
        mapping.errorCode.compactMap { pointer in
            switch pointer.value(in: document) {
            case .string(let text)? where !text.isEmpty: text
            case .integer(let number)?: String(number)
            default: nil
            }
        }
    }

    private func text(_ pointers: [JSONPointer]) -> String? {
        for pointer in pointers {
            if let text = pointer.value(in: document)?.nonEmptyText { return text }
        }
        return nil
    }
}
