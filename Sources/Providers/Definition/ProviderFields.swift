import ConfigurationFile
import RefreshCore

/// What one text, a preset or an entry under `providers`, says about a provider: every field may be absent.
struct ProviderFields {
    var tokenURL: String?
    var allowInsecureHTTP: Bool?
    var clientID: String?
    var clientSecret: Secret?
    var clientAuth: ClientAuthentication?
    var requestFormat: RequestFormat?
    var parameters: [RequestField]?
    var headers: [RequestField]?
    var scope: String?
    var audience: String?
    var resources: [String]?
    var rotation: RotationBehaviour?
    var skew: Duration?
    var window: Duration?
    var exchangeDeadline: Duration?
    var connectTimeout: Duration?
    var sendBy: Duration?
    var lockTTL: Duration?
    var maxConcurrent: Int?
    var defaultLifetime: Duration?
    var backoffBase: Duration?
    var backoffCap: Duration?
    var caFile: String?
    var errors: ErrorRules?

    /// Reads the keys of a provider:
    /// - `token_url`, `allow_insecure_http`, `ca_file`
    /// - `client_id`, `client_secret` or `client_secret_file`, `client_auth` (basic, post, none)
    /// - `request_format` (form, json), `params`, `headers`, `scope`, `audience`, `resource`
    /// - `rotation` (single_use, reusable, `{ grace: 30s }`), `skew`, `window`, `default_lifetime`
    /// - `exchange_deadline`, `connect_timeout`, `send_by`, `lock_ttl`, `max_concurrent`, `backoff: { base, cap }`
    /// - `errors` (``ErrorRules``)
    init(reading section: ConfigurationSection) {
        tokenURL = section.string("token_url", secret: true)
        allowInsecureHTTP = section.bool("allow_insecure_http")
        clientID = section.string("client_id")
        clientSecret = Self.clientSecret(section)
        clientAuth = section.choice("client_auth")
        requestFormat = section.choice("request_format")
        parameters = Self.parameters(section)
        headers = Self.headers(section)
        scope = section.oneOrMany("scope")?.joined(separator: " ")
        audience = section.string("audience")
        resources = section.oneOrMany("resource")
        rotation = Self.rotation(section)
        caFile = section.string("ca_file")
        errors = section.section("errors") { ErrorRules(reading: $0) }
        readTimes(section)
    }

    private mutating func readTimes(_ section: ConfigurationSection) {
        skew = section.duration("skew", in: .zero ... .seconds(86_400))
        window = section.duration("window", in: .seconds(1) ... .seconds(7 * 86_400))
        exchangeDeadline = section.duration("exchange_deadline", in: .milliseconds(100) ... .seconds(300))
        connectTimeout = section.duration("connect_timeout", in: .milliseconds(50) ... .seconds(120))
        sendBy = section.duration("send_by", in: .milliseconds(50) ... .seconds(60))
        lockTTL = section.duration("lock_ttl", in: .seconds(1) ... .seconds(900))
        maxConcurrent = section.int("max_concurrent", in: 1...10_000)
        defaultLifetime = section.duration("default_lifetime", in: .seconds(1) ... .seconds(366 * 86_400))
        let backoff = section.section("backoff") { backoff in
            (
                base: backoff.duration("base", in: .milliseconds(10) ... .seconds(3600)),
                cap: backoff.duration("cap", in: .milliseconds(10) ... .seconds(86_400))
            )
        }
        backoffBase = backoff?.base
        backoffCap = backoff?.cap
    }

    private static func clientSecret(_ section: ConfigurationSection) -> Secret? {
        let value = section.string("client_secret", secret: true)
        let file = section.string("client_secret_file")
        if section.contains("client_secret"), section.contains("client_secret_file") {
            section.report(
                .contradiction, "client_secret_file", "give either client_secret or client_secret_file, not both")
            return nil
        }
        guard let file else { return value.map { Secret($0) } }
        do {
            return Secret(try BoundedFile.readSecret(file))
        } catch {
            section.report(.unreadable, "client_secret_file", error.description)
            return nil
        }
    }

    private static func rotation(_ section: ConfigurationSection) -> RotationBehaviour? {
        if section.isSection("rotation") {
            return section.section("rotation") { rotation in
                let grace = rotation.duration("grace", in: .seconds(1) ... .seconds(86_400))
                if !rotation.contains("grace") { rotation.report(.missing, "needs grace: write { grace: 30s }") }
                return grace.map { .grace($0) }
            } ?? nil
        }
        return section.parsed("rotation", "one of single_use, reusable, { grace: 30s }") { text in
            switch text {
            case "single_use": .singleUse
            case "reusable": .reusable
            default: nil
            }
        }
    }

    private static let reservedParameters = [
        "grant_type": "it is always refresh_token", "refresh_token": "it comes from the account",
        "client_id": "use the key client_id", "client_secret": "use the key client_secret or client_secret_file",
    ]

    private static func parameters(_ section: ConfigurationSection) -> [RequestField]? {
        section.section("params") { params in
            params.keys.compactMap { name in
                if let reason = reservedParameters[name] {
                    params.report(.invalidValue, name, "cannot be set here: \(reason)")
                    return nil
                }
                return params.string(name, secret: true).map { RequestField(name: name, value: Secret($0)) }
            }
        }
    }

    private static let reservedHeaders: Set<String> = [
        "content-type", "content-length", "transfer-encoding", "expect", "host", "connection", "authorization",
    ]

    private static func headers(_ section: ConfigurationSection) -> [RequestField]? {
        section.section("headers") { headers in
            headers.keys.compactMap { name in
                guard HTTPText.isToken(name) else {
                    headers.report(.invalidValue, name, "is not the name of a header")
                    return nil
                }
                guard !reservedHeaders.contains(name.lowercased()) else {
                    headers.report(.invalidValue, name, "cannot be set here: it is made with the request")
                    return nil
                }
                guard let value = headers.string(name, secret: true) else { return nil }
                guard HTTPText.isFieldValue(value) else {
                    headers.report(.invalidValue, name, "holds a character that a header cannot have")
                    return nil
                }
                return RequestField(name: name, value: Secret(value))
            }
        }
    }
}
