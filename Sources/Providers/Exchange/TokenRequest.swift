import CurlClient
import RefreshCore

/// The request that spends a refresh token (RFC 6749 §6).
enum TokenRequest {
    /// Bytes of an answer that are read at most.
    static let maximumResponse = 1 << 20

    static func build(
        _ definition: ProviderDefinition, refreshToken: Secret, connectTimeout: Duration, totalTimeout: Duration,
        sendBy: ContinuousClock.Instant
    ) -> CurlRequest {
        let fields = fields(definition, refreshToken: refreshToken)
        let body: String
        switch definition.requestFormat {
        case .form: body = HTTPText.form(fields)
        case .json: body = HTTPText.json(fields)
        }
        return CurlRequest(
            method: "POST", url: definition.tokenURL, headers: headers(definition), body: Array(body.utf8),
            connectTimeout: min(connectTimeout, totalTimeout), totalTimeout: totalTimeout,
            maxResponseBytes: maximumResponse, tls: CurlTLS(caFile: definition.caFile), sendBy: sendBy, singleSend: true
        )
    }

    private static func fields(
        _ definition: ProviderDefinition, refreshToken: Secret
    ) -> [(name: String, value: String)] {
        var fields = [
            (name: "grant_type", value: "refresh_token"), (name: "refresh_token", value: refreshToken.reveal()),
        ]
        if definition.clientAuth != .basic { fields.append((name: "client_id", value: definition.clientID)) }
        if definition.clientAuth == .post, let secret = definition.clientSecret {
            fields.append((name: "client_secret", value: secret.reveal()))
        }
        if let scope = definition.scope { fields.append((name: "scope", value: scope)) }
        if let audience = definition.audience { fields.append((name: "audience", value: audience)) }
        for resource in definition.resources { fields.append((name: "resource", value: resource)) }
        for parameter in definition.parameters {
            fields.append((name: parameter.name, value: parameter.value.reveal()))
        }
        return fields
    }

    private static func headers(_ definition: ProviderDefinition) -> [(name: String, value: String)] {
        let type =
            switch definition.requestFormat {
            case .form: "application/x-www-form-urlencoded"
            case .json: "application/json"
            }
        var headers = [(name: "Content-Type", value: type)]
        if definition.clientAuth == .basic, let secret = definition.clientSecret {
            // Both are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
            let pair = HTTPText.formEncoded(definition.clientID) + ":" + HTTPText.formEncoded(secret.reveal())
            headers.append((name: "Authorization", value: "Basic " + HTTPText.base64(pair)))
        }
        let given = Set(definition.headers.map { $0.name.lowercased() })
        for header in [(name: "Accept", value: "application/json"), (name: "User-Agent", value: "perennial")]
        where !given.contains(header.name.lowercased()) {
            headers.append(header)
        }
        for header in definition.headers { headers.append((name: header.name, value: header.value.reveal())) }
        return headers
    }
}
