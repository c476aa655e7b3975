/// A request with everything put in.
struct RenderedRequest: Sendable, Hashable {
    var method: String
    var url: String
    var headers: [(name: String, value: String)]
    var body: String?

    static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.method == rhs.method && lhs.url == rhs.url && lhs.body == rhs.body
            && lhs.headers.map(\.name) == rhs.headers.map(\.name)
            && lhs.headers.map(\.value) == rhs.headers.map(\.value)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(url)
        hasher.combine(body)
    }
}

extension RequestTemplate {
    /// - Parameters:
    ///   - hidesNumbers: whether numbers that are written out in a JSON body are left out.
    ///   - render: turns a template into text.
    /// - Throws: ``TemplateFailure`` when a value is missing, or would break out of its place.
    func render(
        hidesNumbers: Bool = false, _ render: (Template) throws(TemplateFailure) -> String
    ) throws(TemplateFailure) -> RenderedRequest {
        var headers: [(name: String, value: String)] = []
        for field in self.headers {
            let value = try render(field.value)
            guard HTTPText.isFieldValue(value) else {
                throw TemplateFailure("the header \(field.name) would hold a character that a header cannot have")
            }
            headers.append((field.name, value))
        }
        var text: String?
        var type: String?
        switch body {
        case .none: break
        case .form(let fields):
            text = HTTPText.form(try Self.render(fields, render))
            type = "application/x-www-form-urlencoded"
        case .json(let value):
            text = try value.render(hidesNumbers: hidesNumbers, render).serialized
            type = "application/json"
        case .text(let template):
            text = try render(template)
            type = "text/plain; charset=utf-8"
        }
        if let type, !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            headers.insert(("Content-Type", type), at: 0)
        }
        return RenderedRequest(method: method, url: try target(render), headers: headers, body: text)
    }

    private static func render(
        _ fields: [RequestField], _ render: (Template) throws(TemplateFailure) -> String
    ) throws(TemplateFailure) -> [(name: String, value: String)] {
        var rendered: [(name: String, value: String)] = []
        for field in fields { rendered.append((field.name, try render(field.value))) }
        return rendered
    }

    /// The URL with its query: whatever a value is, it stays in its place.
    private func target(
        _ render: (Template) throws(TemplateFailure) -> String
    ) throws(TemplateFailure) -> String {
        let result = try EndpointURL.render(url, render)
        guard !query.isEmpty else { return result }
        let pairs = try Self.render(query, render).map {
            "\(HTTPText.percentEncoded($0.name))=\(HTTPText.percentEncoded($0.value))"
        }
        return result + (result.contains("?") ? "&" : "?") + pairs.joined(separator: "&")
    }
}
