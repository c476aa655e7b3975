import JSONText

/// The answers that a log-in looks into: JSON objects.
enum LoginDocument {
    /// Nil when `body` is no JSON object, or larger than any such answer is.
    static func parse(_ body: [UInt8]) -> JSONValue? {
        guard let document = TokenAnswer.document(of: body), case .object = document else { return nil }
        return document
    }

    /// The error code that an answer tells, as RFC 6749 §5.2 has it or nested; nil where it tells none.
    static func error(in document: JSONValue?) -> String? {
        document?["error"]?.nonEmptyText ?? document?["error"]?["code"]?.plainText
    }
}

extension JSONValue {
    /// A text that is not empty, or a number as text.
    var plainText: String? {
        guard let text = scalarText, !text.isEmpty else { return nil }
        return text
    }

    /// A text, or those of a list.
    var plainTexts: [String] {
        if case .array(let elements) = self { return elements.compactMap(\.plainText) }
        return plainText.map { [$0] } ?? []
    }
}
