import ConfigurationFile

/// Reads `{ method, url, query, headers, form | json | body }` of a step.
struct StepRequestReading {
    private let section: ConfigurationSection
    private let allowsHTTP: Bool

    init(_ section: ConfigurationSection, _ allowsHTTP: Bool) {
        self.section = section
        self.allowsHTTP = allowsHTTP
    }

    /// - Returns: nil after reporting at least one issue.
    func read(_ reader: inout TemplateReader) -> RequestTemplate? {
        let method = section.parsed("method", "one of GET, POST, PUT, PATCH") { text in
            ["GET", "POST", "PUT", "PATCH"].contains(text) ? text : nil
        }
        let query = reader.named(section, "query") { _ in nil }
        let headers = reader.named(section, "headers", refuse: ProviderFields.refuseHeader)
        let bodies = ["form", "json", "body"].filter { section.contains($0) }
        if bodies.count > 1 {
            section.report(.contradiction, bodies[1], "give one body: \(bodies.joined(separator: " or "))")
        }
        let body: RequestTemplate.Body?
        switch bodies.first {
        case "form": body = reader.form(section, "form").map { .form($0) }
        case "json": body = section.value("json").flatMap { reader.json($0, in: section) }.map { .json($0) }
        case "body": body = reader.template(section, "body").map { .text($0) }
        default: body = RequestTemplate.Body.none
        }
        if method == "GET", let first = bodies.first {
            section.report(.contradiction, first, "GET has no body: put it into query, or write method: POST")
            return nil
        }
        guard let url = url(&reader), let body, method != nil || !section.contains("method"), bodies.count < 2 else {
            return nil
        }
        return RequestTemplate(
            method: method ?? (bodies.isEmpty ? "GET" : "POST"), url: url, query: query?.fields ?? [],
            headers: headers?.fields ?? [], body: body)
    }

    private func url(_ reader: inout TemplateReader) -> Template? {
        guard section.contains("url") else {
            section.report(.missing, "needs url: https://HOST/PATH")
            return nil
        }
        guard let template = reader.template(section, "url") else { return nil }
        do {
            let url = try EndpointURL(template)
            guard url.scheme == "https" || url.isLoopback || allowsHTTP else {
                section.report(
                    .invalidValue, "url",
                    "would send what it holds unencrypted: use https://, or set allow_insecure_http: true")
                return nil
            }
            return template
        } catch {
            section.report(.invalidValue, "url", error.description)
            return nil
        }
    }
}
