import JSONText

/// A parameter, header or member of a request. Its text may be a key, so it never shows.
public struct RequestField: Sendable, Hashable {
    public var name: String
    public var value: Template

    public init(name: String, value: Template) {
        self.name = name
        self.value = value
    }
}

/// A JSON value whose texts are templates.
public indirect enum JSONTemplate: Sendable, Hashable {
    /// A string, or a number where the template ends in `| number`.
    case text(Template)
    /// A number, truth value or null as it is written.
    case constant(JSONConstant)
    case list([JSONTemplate])
    /// In order.
    case object([Member])

    public struct Member: Sendable, Hashable {
        public var name: String
        public var value: JSONTemplate

        public init(name: String, value: JSONTemplate) {
            self.name = name
            self.value = value
        }
    }

    var templates: [Template] {
        switch self {
        case .text(let template): [template]
        case .constant: []
        case .list(let elements): elements.flatMap(\.templates)
        case .object(let members): members.flatMap(\.value.templates)
        }
    }

    /// - Parameter hidesNumbers: whether a number that is written out, which may be a secret, is left out.
    func render(
        hidesNumbers: Bool = false, _ render: (Template) throws(TemplateFailure) -> String
    ) throws(TemplateFailure) -> JSONValue {
        switch self {
        case .constant(let constant): return hidesNumbers ? constant.maskedValue : constant.value
        case .text(let template):
            let text = try render(template)
            guard template.isNumber else { return .string(text) }
            // What is left out of a masked request stands as text.
            guard HTTPText.isJSONNumber(text), let number = try? JSONReader.parse(Array(text.utf8)) else {
                return .string(text)
            }
            return number
        case .list(let elements):
            var values: [JSONValue] = []
            for element in elements { values.append(try element.render(hidesNumbers: hidesNumbers, render)) }
            return .array(values)
        case .object(let members):
            var values: [JSONValue.Member] = []
            for member in members {
                let value = try member.value.render(hidesNumbers: hidesNumbers, render)
                values.append(JSONValue.Member(name: member.name, value: value))
            }
            return .object(values)
        }
    }
}

/// A JSON value without parts that is no text.
public enum JSONConstant: Sendable, Hashable {
    case integer(Int64)
    case number(Double)
    case bool(Bool)
    case null

    var value: JSONValue {
        switch self {
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .bool(let value): .bool(value)
        case .null: .null
        }
    }

    /// The value, or what stands for a number.
    var maskedValue: JSONValue {
        switch self {
        case .integer, .number: .string("***")
        case .bool, .null: value
        }
    }
}

/// An HTTP request whose parts are computed each time it is sent.
public struct RequestTemplate: Sendable, Hashable {
    public enum Body: Sendable, Hashable {
        case none
        /// `application/x-www-form-urlencoded`; the same name may come several times.
        case form([RequestField])
        case json(JSONTemplate)
        /// As it is; its media type comes with the headers, and is `text/plain` where they say nothing.
        case text(Template)
    }

    public var method: String
    /// Placeholders only behind the host; what they stand for is percent-encoded.
    public var url: Template
    /// Added to what the URL has.
    public var query: [RequestField]
    /// All but those that the body and the client's authentication bring.
    public var headers: [RequestField]
    public var body: Body

    public init(
        method: String = "POST", url: Template, query: [RequestField] = [], headers: [RequestField] = [],
        body: Body = .none
    ) {
        self.method = method
        self.url = url
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// Every template in it.
    var templates: [Template] {
        let inBody: [Template] =
            switch body {
            case .none: []
            case .form(let fields): fields.map(\.value)
            case .json(let value): value.templates
            case .text(let template): [template]
            }
        return [url] + query.map(\.value) + headers.map(\.value) + inBody
    }
}
