import Mustache
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the body of a webhook is made from: a format that ships with Perennial, or a [Mustache](https://mustache.github.io/mustache.5.html)
/// template of the operator's.
public struct BodyTemplate: Sendable, Hashable {
    /// Why a template cannot be used, and what to write instead.
    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// Larger templates are refused, in bytes.
    public static let maximumSize = 64 * 1024
    public static let standard = BodyTemplate(.json)

    /// Nil for a template of the operator's.
    public let format: BodyFormat?
    /// Empty for ``BodyFormat/json``.
    public let text: String
    public let contentType: String
    /// Nil for ``BodyFormat/json``.
    private let template: MustacheTemplate?

    public init(_ format: BodyFormat) {
        self.format = format
        text = format.template ?? ""
        contentType = format == .json ? "application/json" : "application/json; charset=utf-8"
        // The ready-made ones are tested.
        template = format == .json ? nil : try? Self.compile(text, format == .slack ? .slack : .json)
    }

    /// - Parameter contentType: decides how values are escaped: as in JSON, as in a form, or not at all.
    /// - Throws: ``Malformed`` when the text is no template, names what no event has, or makes no JSON where that is
    ///   the content type.
    public init(text: String, contentType: String = "application/json") throws(Malformed) {
        guard text.utf8.count <= Self.maximumSize else {
            throw Malformed(description: "is larger than \(Self.maximumSize) bytes")
        }
        format = nil
        self.text = text
        self.contentType = contentType
        let escaping = Self.escaping(of: contentType)
        do {
            template = try Self.compile(text, escaping)
        } catch let error as MustacheTemplate.ParserError {
            throw Malformed(
                description: "is no Mustache template: line \(error.context.lineNumber): \(Self.words(error.error))")
        } catch {
            throw Malformed(description: "is no Mustache template")
        }
        try check(isJSON: escaping == .json)
    }

    public func render(_ event: FleetEvent, sign: (time: String, signature: String)? = nil, chatID: String? = nil)
        -> [UInt8]
    {
        guard let template else { return EventDocument(event).bytes }
        return Array(template.render(Self.context(event, sign: sign, chatID: chatID)).utf8)
    }

    // MARK: What a template may name

    /// Names at the top of a template; `data.NAME` is a field of the event.
    public static let names = [
        "id", "type", "time", "unix", "severity", "text", "account", "provider", "generation", "cause", "message",
        "instance", "data", "chat_id", "sign", "sign_time",
    ]

    private static func context(
        _ event: FleetEvent, sign: (time: String, signature: String)?, chatID: String?
    ) -> [String: Any] {
        let document = EventDocument(event)
        var context: [String: Any] = [
            "id": document.id, "type": document.type, "time": document.timestamp,
            "unix": event.at.milliseconds / 1000, "severity": EventSentence.severity(of: event.type).rawValue,
            "text": "Perennial: " + EventSentence.text(event), "data": document.data.mapValues(\.description),
        ]
        for name in ["account", "provider", "generation", "cause", "message", "instance"] {
            context[name] = document.data[name]?.description
        }
        context["chat_id"] = chatID
        context["sign"] = sign?.signature
        context["sign_time"] = sign?.time
        return context
    }

    // MARK: Checking

    private static func compile(_ text: String, _ escaping: TextEscaping) throws -> MustacheTemplate {
        _ = TextEscaping.registration
        // On the same line, so that the lines of errors are those of the text.
        return try MustacheTemplate(string: "{{% CONTENT_TYPE:\(escaping.rawValue)}}\(text)")
    }

    private static func escaping(of contentType: String) -> TextEscaping {
        let type = contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
        if type == "application/json" || type.hasSuffix("+json") { return .json }
        return type == "application/x-www-form-urlencoded" ? .form : .plain
    }

    private func check(isJSON: Bool) throws(Malformed) {
        guard let template else { return }
        if isJSON, text.contains("{{{") || text.contains(/\{\{\s*&/) {
            throw Malformed(
                description: "puts a value in as it is, so that a quote in it would break the JSON: write {{NAME}} "
                    + "instead of {{{NAME}}} and {{&NAME}}, or set content_type")
        }
        for isFull in [true, false] {
            let probe = TemplateProbe(isFull: isFull)
            let rendered = template.render(probe)
            if let name = probe.unknown.first {
                throw Malformed(
                    description: "names \"\(name.prefix(60))\", which no event has: known are "
                        + "\(Self.names.joined(separator: ", ")), and data.NAME for any field of the event")
            }
            guard isJSON else { continue }
            if (try? JSONDecoder().decode(Anything.self, from: Data(rendered.utf8))) == nil {
                throw Malformed(
                    description:
                        "does not make valid JSON\(isFull ? "" : " of an event without an account"): put texts "
                        + "in quotes (\"{{text}}\"), or set content_type")
            }
        }
    }

    private static func words(_ error: any Error) -> String {
        switch error as? MustacheTemplate.Error {
        case .sectionCloseNameIncorrect: "a section is closed by another name than it was opened with"
        case .unfinishedName: "a tag has no end: write {{NAME}}"
        case .expectedSectionEnd: "a section has no end: write {{/NAME}}"
        case .invalidSetDelimiter: "the delimiters are not set as in {{=<% %>=}}"
        case .invalidConfigVariableSyntax, .unrecognisedConfigVariable: "{{% …}} is not supported here"
        default: "it cannot be read"
        }
    }

    public static func == (lhs: BodyTemplate, rhs: BodyTemplate) -> Bool {
        lhs.format == rhs.format && lhs.text == rhs.text && lhs.contentType == rhs.contentType
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(format)
        hasher.combine(text)
        hasher.combine(contentType)
    }
}

/// Any JSON text.
private struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
}

/// Stands for an event and remembers what a template asks for in vain.
private final class TemplateProbe: MustacheParent {
    /// Whether what only some events have is there.
    private let isFull: Bool
    private(set) var unknown: [String] = []

    /// With all that would break out of a text that is not escaped.
    static let sample = "a \"quoted\" \\ text\nof & <two> lines"

    init(isFull: Bool) {
        self.isFull = isFull
    }

    func child(named name: String) -> Any? {
        switch name {
        case "id", "type", "time", "severity", "text": return Self.sample
        case "unix": return Int64(1_700_000_000)
        case "data": return AnyFields(isFull: isFull)
        case "generation": return isFull ? "1" : nil
        case _ where BodyTemplate.names.contains(name): return isFull ? Self.sample : nil
        default:
            unknown.append(name)
            return nil
        }
    }
}

/// The fields of an event of which nothing is known.
private struct AnyFields: MustacheParent {
    let isFull: Bool

    // A number in quotes or without them is good JSON, whatever the field will hold.
    func child(named: String) -> Any? { isFull ? "1" : nil }
}
