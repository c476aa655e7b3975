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
        return try make(definition, url: url, format: .form, fields: fields, headers: [], moment: moment)
    }

    /// The provider's own request with another address and other parameters: its client and its headers stay.
    private static func make(
        _ definition: ProviderDefinition, url: String, format: RequestFormat, fields: [(name: String, value: String)],
        headers: [LoginDefinition.Field], moment: WallTime
    ) throws(TemplateFailure) -> CurlRequest {
        var own = definition
        own.tokenURL = url
        own.method = "POST"
        own.query = []
        own.accountFields = nil
        own.headers.removeAll { field in headers.contains { $0.name.lowercased() == field.name.lowercased() } }
        own.headers += headers.map { RequestField(name: $0.name, value: Template(literal: $0.value.reveal())) }
        let body =
            fields.map { RequestField(name: $0.name, value: Template(literal: $0.value)) } + definition.clientFields
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
