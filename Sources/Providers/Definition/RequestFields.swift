import ConfigurationFile

/// What a text says of a request but for its URL: `{ method, query, headers, form | json | body }`.
///
/// Providers and the steps of acquisition chains are read alike. What is wrong is reported, and left out.
struct RequestFields {
    var method: String?
    var query: NamedTemplates?
    var headers: NamedTemplates?
    var body: RequestTemplate.Body?

    static let methods = ["GET", "POST", "PUT", "PATCH"]

    init(reading section: ConfigurationSection, _ reader: inout TemplateReader) {
        method = section.parsed("method", "one of \(Self.methods.joined(separator: ", "))") { text in
            Self.methods.contains(text) ? text : nil
        }
        query = reader.named(section, "query") { _ in nil }
        headers = reader.named(section, "headers", refuse: ProviderFields.refuseHeader)
        let bodies = ["form", "json", "body"].filter { section.contains($0) }
        if bodies.count > 1 {
            section.report(.contradiction, bodies[1], "give one body: \(bodies.joined(separator: " or "))")
        }
        switch bodies.first {
        case "form": body = reader.form(section, "form").map { .form($0) }
        case "json": body = section.value("json").flatMap { reader.json($0, in: section) }.map { .json($0) }
        case "body": body = reader.template(section, "body").map { .text($0) }
        default: break
        }
        if method == "GET", let first = bodies.first {
            section.report(.contradiction, first, "GET has no body: put it into query, or write method: POST")
        }
    }
}
