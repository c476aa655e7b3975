import ConfigurationFile
import RefreshCore

/// What one text, a preset or an entry under `providers`, says about a provider: every field may be absent.
struct ProviderFields {
    var tokenURL: String?
    var method: String?
    var allowInsecureHTTP: Bool?
    var grant: GrantType?
    var clientID: String?
    var clientSecret: Secret?
    var clientAuth: ClientAuthentication?
    var requestFormat: RequestFormat?
    var parameters: NamedTemplates?
    var query: NamedTemplates?
    var headers: NamedTemplates?
    var body: RequestTemplate.Body?
    var computed: NamedTemplates?
    var variables: [ProviderVariable]?
    var accountFields: [String]?
    var signingKey: SigningKey?
    var assertion: AssertionFields?
    var clientAssertion: AssertionFields?
    var scope: String?
    var audience: String?
    var resources: [String]?
    var response: ResponseFields?
    var rotation: RotationBehaviour?
    var skew: Duration?
    var window: Duration?
    var exchangeDeadline: Duration?
    var connectTimeout: Duration?
    var sendBy: Duration?
    var lockTTL: Duration?
    var maxConcurrent: Int?
    var rateLimit: RateLimit?
    var circuitBreaker: CircuitBreakerSetting?
    var grantMaxAge: Duration?
    var grantWarning: Duration?
    var defaultLifetime: Duration?
    var backoffBase: Duration?
    var backoffCap: Duration?
    var caFile: String?
    var errors: ErrorRules?
    var proxy: ProviderProxy?
    var login: LoginDefinition?
    /// The keys that are given, and `KEY.NAME` of those that hold names.
    var given: Set<String> = []
    /// Where each template stands, for what is found out about it later.
    var places: [Place] = []

    struct Place {
        var template: Template
        var origin: ConfigurationIssue.Origin
        var path: String
    }

    /// Reads the keys of a provider:
    /// - `token_url`, `allow_insecure_http`, `ca_file`
    /// - `client_id`, `client_secret` or `client_secret_file`, `client_auth` (``ClientAuthentication``)
    /// - `grant` (``GrantType``), `request_format` (form, json), `params`, `headers`, `scope`, `audience`, `resource`
    /// - `request` (`method, url, query, headers` and one of `form, json, body`), `computed`, `vars`, `account_fields`
    /// - `signing` (`algorithm, key, key_file, key_id`), `assertion`, `client_assertion`
    /// - `response` (``ResponseMapping``), `errors` (``ErrorRules``)
    /// - `rotation` (single_use, reusable, `{ grace: 30s }`), `skew`, `window`, `default_lifetime`
    /// - `exchange_deadline`, `connect_timeout`, `send_by`, `lock_ttl`, `max_concurrent`, `backoff: { base, cap }`
    /// - `proxy` (``ProviderProxy``), `login` (``LoginDefinition``)
    /// - `rate_limit: { requests, per, burst }`, `circuit_breaker` (off, `{ failures, cap }`), `grant_max_age`,
    ///   `grant_warning`
    init(reading section: ConfigurationSection) {
        var reader = TemplateReader()
        tokenURL = section.string("token_url", secret: true)
        allowInsecureHTTP = section.bool("allow_insecure_http")
        grant = section.choice("grant")
        clientID = section.string("client_id")
        clientSecret = SecretReading.secret(section, "client_secret")
        clientAuth = section.choice("client_auth")
        requestFormat = section.choice("request_format")
        parameters = reader.named(section, "params", refuse: Self.refuseParameter)
        headers = reader.named(section, "headers", refuse: Self.refuseHeader)
        computed = reader.named(section, "computed", refuse: Self.refuseName)
        variables = section.section("vars") { SecretReading.variables($0) }
        accountFields = Self.accountFields(section)
        signingKey = section.section("signing") { SecretReading.signingKey($0) } ?? nil
        assertion = section.section("assertion") { AssertionFields(reading: $0, &reader, isClient: false) }
        clientAssertion = section.section("client_assertion") {
            AssertionFields(reading: $0, &reader, isClient: true)
        }
        scope = section.oneOrMany("scope")?.joined(separator: " ")
        audience = section.string("audience")
        resources = section.oneOrMany("resource")
        response = section.section("response") { ResponseFields(reading: $0) }
        rotation = Self.rotation(section)
        caFile = section.string("ca_file")
        errors = section.section("errors") { ErrorRules(reading: $0) }
        section.section("request") { readRequest($0, in: section, &reader) }
        proxy = ProviderProxy.read(section)
        login = section.section("login") { LoginDefinition(reading: $0) }
        readTimes(section)
        places = reader.places
        given = Self.given(section, self)
    }

    private mutating func readRequest(
        _ request: ConfigurationSection, in section: ConfigurationSection, _ reader: inout TemplateReader
    ) {
        let fields = RequestFields(reading: request, &reader)
        if request.contains("url") {
            if section.contains("token_url") {
                request.report(.contradiction, "url", "is the same as token_url: give only one of them")
            } else {
                tokenURL = request.string("url", secret: true)
            }
        }
        if let more = fields.headers {
            for name in more.names
            where headers?.names.contains(where: { $0.lowercased() == name.lowercased() }) == true {
                request.report(.contradiction, "headers", "gives \(name), which stands in headers already")
            }
            headers = headers?.adding(more) ?? more
        }
        (method, query, body) = (fields.method, fields.query, fields.body)
    }

    private mutating func readTimes(_ section: ConfigurationSection) {
        skew = section.duration("skew", in: .zero ... .seconds(86_400))
        window = section.duration("window", in: .seconds(1) ... .seconds(7 * 86_400))
        exchangeDeadline = section.duration("exchange_deadline", in: .milliseconds(100) ... .seconds(300))
        connectTimeout = section.duration("connect_timeout", in: .milliseconds(50) ... .seconds(120))
        sendBy = section.duration("send_by", in: .milliseconds(50) ... .seconds(60))
        lockTTL = section.duration("lock_ttl", in: .seconds(1) ... .seconds(900))
        maxConcurrent = section.int("max_concurrent", in: 1...10_000)
        rateLimit = RateLimit.read("rate_limit", in: section)
        circuitBreaker = CircuitBreakerSetting.read("circuit_breaker", in: section)
        grantMaxAge = section.duration("grant_max_age", in: .seconds(60) ... .seconds(10 * 366 * 86_400))
        grantWarning = section.duration("grant_warning", in: .seconds(1) ... .seconds(366 * 86_400))
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

    private static func given(_ section: ConfigurationSection, _ fields: ProviderFields) -> Set<String> {
        var given: Set<String> = []
        for key in ProviderKeys.all where section.holds(key) { given.insert(key) }
        let places = ResponseFields.pointerKeys + ResponseFields.spanKeys + ResponseFields.timeKeys
        for key in places where section.holds("response.\(key)") { given.insert("response.\(key)") }
        if fields.tokenURL != nil { given.insert("token_url") }
        for (key, names) in [
            ("params", fields.parameters?.names), ("query", fields.query?.names), ("headers", fields.headers?.names),
            ("computed", fields.computed?.names), ("vars", fields.variables?.map(\.name)),
        ] {
            for name in names ?? [] { given.insert("\(key).\(name)") }
        }
        if fields.body != nil { given.insert("request.body") }
        if fields.method != nil { given.insert("request.method") }
        if fields.clientSecret != nil { given.insert("client_secret") }
        return given
    }

    private static func accountFields(_ section: ConfigurationSection) -> [String]? {
        guard let names = section.strings("account_fields") else { return nil }
        for (index, name) in names.enumerated() {
            if !AccountFields.isName(name) {
                section.report(
                    .invalidValue, "account_fields",
                    "\(Quoted.text(name)) is no name: write letters, digits and underscores")
                return nil
            }
            if names[..<index].contains(name) {
                section.report(.duplicateKey, "account_fields", "names \(name) twice")
                return nil
            }
        }
        return names
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

    // MARK: Names that cannot be given

    private static let reservedParameters = [
        "grant_type": "it comes from the key grant", "refresh_token": "it comes from the account",
        "client_id": "use the key client_id", "client_secret": "use the key client_secret or client_secret_file",
        "assertion": "use the key assertion", "client_assertion": "use the key client_auth",
    ]

    private static func refuseParameter(_ name: String) -> String? {
        reservedParameters[name].map { "cannot be set here: \($0)" }
    }

    private static let reservedHeaders: Set<String> = [
        "content-length", "transfer-encoding", "expect", "host", "connection",
    ]

    static func refuseHeader(_ name: String) -> String? {
        if !HTTPText.isToken(name) { return "is not the name of a header" }
        return reservedHeaders.contains(name.lowercased()) ? "cannot be set here: it is made with the request" : nil
    }

    private static func refuseName(_ name: String) -> String? {
        AccountFields.isName(name) ? nil : "is no name: write letters, digits and underscores"
    }
}

/// The keys of a provider.
enum ProviderKeys {
    static let all = [
        "preset", "token_url", "allow_insecure_http", "grant", "client_id", "client_secret", "client_auth",
        "request_format", "scope", "audience", "resource", "account_fields", "signing", "assertion",
        "client_assertion", "response", "errors", "rotation", "skew", "window", "default_lifetime",
        "exchange_deadline", "connect_timeout", "send_by", "lock_ttl", "max_concurrent", "backoff", "rate_limit",
        "circuit_breaker", "grant_max_age", "grant_warning", "ca_file", "proxy", "login", "login.params",
        "login.exchange",
    ]
}
