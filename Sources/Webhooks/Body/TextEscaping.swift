import Mustache

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How a value is written inside a template's text, so that it cannot end the string or field that it stands in.
enum TextEscaping: String, MustacheContentType, CaseIterable {
    /// The inside of a JSON string (RFC 8259 §7).
    case json = "JSON"
    /// The inside of a JSON string, with what Slack reads as mark-up spelled out
    /// (<https://api.slack.com/reference/surfaces/formatting#escaping>).
    case slack = "SLACK"
    /// A value of a form (`application/x-www-form-urlencoded`).
    case form = "FORM"
    /// As it is.
    case plain = "PLAIN"

    func escapeText(_ text: String) -> String {
        switch self {
        case .json: return Self.json(text)
        case .slack:
            return Self.json(
                text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;"))
        case .form: return PercentEncoding.encode(text)
        case .plain: return text
        }
    }

    private static func json(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let bytes = try? encoder.encode(text) else { return "" }
        return String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
    }

    /// Makes the names known to the template library; once.
    static let registration: Void = {
        for escaping in allCases { MustacheContentTypes.register(escaping, named: escaping.rawValue) }
    }()
}

/// Percent-encoding of all but the unreserved characters (RFC 3986 §2.3), as forms and queries take it.
enum PercentEncoding {
    static func encode(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.append(byte)
            default: result += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
