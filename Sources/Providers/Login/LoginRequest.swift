import CurlClient
import RefreshCore

/// The requests of a log-in as HTTP: authenticated and with the headers that the provider's definition says.
enum LoginRequest {
    /// A request to the token endpoint with these parameters.
    static func token(
        _ definition: ProviderDefinition, _ grant: [(name: String, value: String)], moment: WallTime
    ) throws(TemplateFailure) -> CurlRequest {
        let exchange = definition.login.exchange ?? .init()
        return try make(
            definition, url: exchange.tokenURL ?? definition.tokenURL,
            format: exchange.requestFormat ?? definition.requestFormat,
            fields: grant + exchange.parameters.map { (name: $0.name, value: $0.value.reveal()) },
            headers: exchange.headers, moment: moment)
    }

    /// RFC 8628 §3.1: always a form.
    static func device(
        _ definition: ProviderDefinition, url: String, scope: String?, moment: WallTime
    ) throws(TemplateFailure) -> CurlRequest {
        var fields: [(name: String, value: String)] = []
        if let scope = scope ?? definition.login.scope ?? definition.scope {
            fields.append((name: "scope", value: scope))
        }
        var own = definition
        // The assertion is for the authorization server, known by its token endpoint (RFC 7523 §3), wherever it is sent.
        if own.loginClientAuth.usesAssertion, own.clientAssertion.audience == nil {
            own.clientAssertion.audience = Template(literal: try tokenEndpoint(definition, moment: moment))
        }
        return try make(own, url: url, format: .form, fields: fields, headers: [], moment: moment)
    }

    /// The address of the token endpoint that the log-in uses, without its query, as assertions name it.
    private static func tokenEndpoint(
        _ definition: ProviderDefinition, moment: WallTime
    ) throws(TemplateFailure) -> String {
        var own = definition
        own.tokenURL = definition.login.exchange?.tokenURL ?? definition.tokenURL
        own.clientAuth = .none
        own.method = "GET"
        own.body = nil
        own.query = []
        own.headers = []
        own.accountFields = nil
        let request = try RequestComposer(
            definition: own, credential: .refreshToken(Secret("")), moment: moment, uuid: TokenRequest.newUUID()
        ).compose()
        return String(request.url.prefix { $0 != "?" })
    }

    /// The provider's own request with another address and other parameters: its client and its headers stay.
    private static func make(
        _ definition: ProviderDefinition, url: String, format: RequestFormat, fields: [(name: String, value: String)],
        headers: [LoginDefinition.Field], moment: WallTime
    ) throws(TemplateFailure) -> CurlRequest {
        var own = definition
        own.tokenURL = url
        own.clientAuth = definition.loginClientAuth
        own.method = "POST"
        own.query = []
        own.accountFields = nil
        own.headers.removeAll { field in headers.contains { $0.name.lowercased() == field.name.lowercased() } }
        own.headers += headers.map { RequestField(name: $0.name, value: Template(literal: $0.value.reveal())) }
        let body =
            fields.map { RequestField(name: $0.name, value: Template(literal: $0.value)) } + own.clientFields
        own.body =
            format == .form
            ? .form(body) : .json(.object(body.map { JSONTemplate.Member(name: $0.name, value: .text($0.value)) }))
        let request = try RequestComposer(
            definition: own, credential: .refreshToken(Secret("")), moment: moment, uuid: TokenRequest.newUUID()
        ).compose()
        return CurlRequest(
            method: request.method, url: request.url, headers: request.headers,
            body: request.body.map { Array($0.utf8) },
            connectTimeout: min(definition.connectTimeout, definition.exchangeDeadline),
            totalTimeout: definition.exchangeDeadline, maxResponseBytes: TokenRequest.maximumResponse,
            tls: CurlTLS(caFile: definition.caFile), singleSend: true)
    }
}
