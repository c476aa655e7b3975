import RefreshCore

/// A text with placeholders, `{{ … }}`, that are computed for each request.
///
/// The text between them may be a secret, and so never shows unless somebody asks for ``source``. What a placeholder
/// stands for is put in as it is: braces in it mean nothing.
public struct Template: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    enum Part: Sendable, Hashable {
        case text(String)
        case value(TemplateExpression)
    }

    let parts: [Part]

    init(parts: [Part]) {
        self.parts = parts
    }

    /// A text without placeholders, whatever it holds.
    public init(literal text: String) {
        parts = text.isEmpty ? [] : [.text(text)]
    }

    /// - Throws: ``TemplateSyntaxError``.
    public init(_ source: String) throws(TemplateSyntaxError) {
        parts = try TemplateParser.parse(source)
    }

    /// The template as it would be written. It may hold secrets.
    public var source: String {
        parts.map { part in
            switch part {
            case .text(let text): text.replacing("{{", with: "{{ '{{' }}")
            case .value(let expression): "{{ \(expression.source) }}"
            }
        }.joined()
    }

    /// The template with its own text, which may be a secret, left out.
    var maskedSource: String {
        parts.map { part in
            switch part {
            case .text(let text): text.isTelling ? "***" : text
            case .value(let expression): "{{ \(expression.maskedSource) }}"
            }
        }.joined()
    }

    public var description: String { parts.isEmpty ? "not set" : "set" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }

    public var isEmpty: Bool { parts.isEmpty }

    /// The text, where there are no placeholders.
    var literal: String? {
        switch parts.first {
        case nil: ""
        case .text(let text) where parts.count == 1: text
        default: nil
        }
    }

    /// Whether text is written into it, between the placeholders or in quotes, that may be a secret.
    var hasOwnText: Bool {
        parts.contains { part in
            switch part {
            case .text(let text): text.isTelling
            case .value(let expression): expression.hasOwnText
            }
        }
    }

    /// The names that the placeholders use.
    var names: Set<String> {
        parts.reduce(into: []) { names, part in
            if case .value(let expression) = part { expression.collect(&names) }
        }
    }

    /// Whether it is one placeholder and nothing else, piped to `number`: a number in JSON.
    var isNumber: Bool {
        guard parts.count == 1, case .value(.call("number", _)) = parts[0] else { return false }
        return true
    }

    /// - Throws: ``TemplateFailure`` when a name has no value, or a function cannot take what it is given.
    func render(_ values: TemplateValues) throws(TemplateFailure) -> String {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .value(let expression): result += try expression.evaluate(values)
            }
        }
        return result
    }
}

/// What stands in a placeholder.
indirect enum TemplateExpression: Sendable, Hashable {
    case text(String)
    case name(String)
    case call(String, [TemplateExpression])
    case joined([TemplateExpression])

    var source: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .name(let name): name
        case .call(let function, let arguments): "\(function)(\(arguments.map(\.source).joined(separator: ", ")))"
        case .joined(let terms): terms.map(\.source).joined(separator: " + ")
        }
    }

    /// The same with the texts in quotes, which may be secrets, left out; formats of times are none.
    var maskedSource: String { mapText(sparingFormats: true) { $0.isTelling ? "***" : $0 }.source }

    var hasOwnText: Bool {
        switch self {
        case .text(let text): text.isTelling
        case .name: false
        case .call(let function, let arguments):
            arguments.dropFirst(Self.formats(of: function)).contains(where: \.hasOwnText)
        case .joined(let terms): terms.contains(where: \.hasOwnText)
        }
    }

    /// How many of a function's first arguments are formats of times.
    private static func formats(of function: String) -> Int {
        TemplateFunction.named(function)?.takesFormat == true ? 1 : 0
    }

    private static func quoted(_ text: String) -> String {
        text.contains("'") ? "\"\(text)\"" : "'\(text)'"
    }

    func mapText(sparingFormats: Bool = false, _ transform: (String) -> String) -> TemplateExpression {
        switch self {
        case .text(let text): return .text(transform(text))
        case .name: return self
        case .call(let function, let arguments):
            let spared = sparingFormats ? Self.formats(of: function) : 0
            let others = arguments.dropFirst(spared).map { $0.mapText(sparingFormats: sparingFormats, transform) }
            return .call(function, arguments.prefix(spared) + others)
        case .joined(let terms):
            return .joined(terms.map { $0.mapText(sparingFormats: sparingFormats, transform) })
        }
    }

    func collect(_ names: inout Set<String>) {
        switch self {
        case .text: break
        case .name(let name): names.insert(name)
        case .call(_, let arguments):
            for argument in arguments { argument.collect(&names) }
        case .joined(let terms):
            for term in terms { term.collect(&names) }
        }
    }

    func evaluate(_ values: TemplateValues) throws(TemplateFailure) -> String {
        switch self {
        case .text(let text): return text
        case .name(let name): return try values.value(of: name)
        case .joined(let terms):
            var result = ""
            for term in terms { result += try term.evaluate(values) }
            return result
        case .call(let name, let arguments):
            guard let function = TemplateFunction.named(name) else {
                throw TemplateFailure("there is no function \(name)")
            }
            var given: [String] = []
            for argument in arguments { given.append(try argument.evaluate(values)) }
            return try function.apply(given, values)
        }
    }
}

/// A template that is not well-formed. Repeats nothing of it but the placeholder in question.
public struct TemplateSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A template that cannot be computed. Never says what a value is.
public struct TemplateFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

extension String {
    /// Whether it is more than punctuation, and so may be a secret.
    var isTelling: Bool { contains { $0.isLetter || $0.isNumber } }
}
