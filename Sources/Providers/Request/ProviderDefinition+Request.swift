import JSONText
import RefreshCore

extension ProviderDefinition {
    /// The request of a refresh: as it is written, or made from the grant and its parameters.
    public var request: RequestTemplate {
        RequestTemplate(
            method: method, url: endpoint, query: query, headers: requestHeaders,
            body: body ?? (method == "GET" ? .none : standardBody))
    }

    /// The URL of the token endpoint.
    var endpoint: Template { (try? Template(tokenURL)) ?? Template(literal: tokenURL) }

    /// The parameters of RFC 6749 §6, §4.4 and §4.3 and RFC 7523 §2.1, with the client's authentication.
    private var standardBody: RequestTemplate.Body {
        var fields: [RequestField] = []
        func add(_ name: String, _ value: Template) { fields.append(RequestField(name: name, value: value)) }
        func add(_ name: String, name value: String) { add(name, Template(parts: [.value(.name(value))])) }
        func add(_ name: String, literal value: String) { add(name, Template(literal: value)) }
        add("grant_type", literal: grant.parameter)
        switch grant {
        case .refreshToken: add("refresh_token", name: "refresh_token")
        case .clientCredentials: break
        case .jwtBearer: add("assertion", name: "assertion")
        case .password:
            add("username", name: "account.username")
            add("password", name: "account.password")
        }
        fields += clientFields
        if let scope { add("scope", literal: scope) }
        if let audience { add("audience", literal: audience) }
        for resource in resources { add("resource", literal: resource) }
        fields += parameters
        return requestFormat == .form ? .form(fields) : .json(Self.object(of: fields))
    }

    /// The parameters by which the client names and proves itself (RFC 6749 §2.3.1, RFC 7523 §2.2); none with `basic`.
    var clientFields: [RequestField] {
        var fields: [RequestField] = []
        func add(_ name: String) {
            fields.append(RequestField(name: name, value: Template(parts: [.value(.name(name))])))
        }
        if clientAuth != .basic, !clientID.isEmpty { add("client_id") }
        if clientAuth == .post, clientSecret != nil { add("client_secret") }
        if clientAuth.usesAssertion {
            let type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            fields.append(RequestField(name: "client_assertion_type", value: Template(literal: type)))
            add("client_assertion")
        }
        return fields
    }

    /// A JSON object of strings; a name that comes several times becomes an array.
    private static func object(of fields: [RequestField]) -> JSONTemplate {
        var order: [String] = []
        var values: [String: [JSONTemplate]] = [:]
        for field in fields {
            if values[field.name] == nil { order.append(field.name) }
            values[field.name, default: []].append(.text(field.value))
        }
        return .object(
            order.map { name in
                let all = values[name] ?? []
                return JSONTemplate.Member(name: name, value: all.count == 1 ? all[0] : .list(all))
            })
    }

    private var requestHeaders: [RequestField] {
        var fields: [RequestField] = []
        if clientAuth == .basic, clientSecret != nil {
            // Both are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
            let pair = ["client_id", "client_secret"].map { TemplateExpression.call("form_encode", [.name($0)]) }
            fields.append(RequestField(name: "Authorization", value: Template(parts: [.value(.call("basic", pair))])))
        }
        let given = Set(headers.map { $0.name.lowercased() })
        for header in [("Accept", "application/json"), ("User-Agent", "perennial")]
        where !given.contains(header.0.lowercased()) {
            fields.append(RequestField(name: header.0, value: Template(literal: header.1)))
        }
        return fields + headers
    }

    /// Every template that is rendered for a request, those that make up others included.
    var templates: [Template] {
        var templates = request.templates + computed.map(\.value)
        let names = templates.reduce(into: Set<String>()) { $0.formUnion($1.names) }
        if names.contains("assertion") { templates += assertion.templates }
        if names.contains("client_assertion") { templates += clientAssertion.templates }
        return templates
    }
}
