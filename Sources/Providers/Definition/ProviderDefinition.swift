public import RefreshCore

/// How the client proves who it is (RFC 6749 §2.3).
public enum ClientAuthentication: String, Sendable, Hashable, CaseIterable {
    /// `Authorization: Basic` (RFC 6749 §2.3.1).
    case basic
    /// Client id and secret in the body.
    case post
    /// A public client: only the id, in the body.
    case none
    /// An assertion signed with the client's private key (RFC 7523 §2.2).
    case privateKeyJWT = "private_key_jwt"
    /// An assertion under the client secret, HS256 (RFC 7523 §2.2, OpenID Connect Core §9).
    case clientSecretJWT = "client_secret_jwt"

    var usesAssertion: Bool { self == .privateKeyJWT || self == .clientSecretJWT }
    var usesSecret: Bool { self == .basic || self == .post || self == .clientSecretJWT }
}

/// What a refresh is at this provider.
public enum GrantType: String, Sendable, Hashable, CaseIterable {
    /// RFC 6749 §6.
    case refreshToken = "refresh_token"
    /// RFC 6749 §4.4: a new grant each time.
    case clientCredentials = "client_credentials"
    /// RFC 7523 §2.1: a new grant each time.
    case jwtBearer = "jwt_bearer"
    /// RFC 6749 §4.3: a new grant each time.
    case password

    /// As the parameter `grant_type` has it.
    var parameter: String {
        switch self {
        case .jwtBearer: "urn:ietf:params:oauth:grant-type:jwt-bearer"
        default: rawValue
        }
    }

    /// What an account is made of where the definition does not say; nil for a refresh token.
    var accountFields: [String]? {
        switch self {
        case .refreshToken: nil
        case .clientCredentials, .jwtBearer: []
        case .password: ["username", "password"]
        }
    }
}

/// How the parameters of a token request are written.
public enum RequestFormat: String, Sendable, Hashable, CaseIterable {
    /// `application/x-www-form-urlencoded` (RFC 6749 §6).
    case form
    /// A JSON object of strings.
    case json
}

/// A value of the operator's that templates use as `vars.NAME`.
public struct ProviderVariable: Sendable, Hashable {
    public var name: String
    public var value: Secret

    public init(name: String, value: Secret) {
        self.name = name
        self.value = value
    }
}

/// What a signed assertion says (RFC 7523 §3).
public struct AssertionTemplate: Sendable, Hashable {
    public var issuer: Template?
    public var subject: Template?
    /// Nil for the token URL.
    public var audience: Template?
    public var lifetime: Duration = .seconds(300)
    public var claims: [JSONTemplate.Member] = []

    public init() {}

    var templates: [Template] { [issuer, subject, audience].compactMap { $0 } + claims.flatMap(\.value.templates) }
}

/// The declarative description of a provider: the request, where the values stand in its answer, what errors mean, how
/// refresh tokens rotate, and the times.
public struct ProviderDefinition: Sendable, Hashable {
    public var name: ProviderName
    /// The preset it was made from.
    public var preset: String
    /// The keys, and `KEY.NAME` of those that hold names, that the configuration gave; the others are the preset's.
    public var given: Set<String> = []

    // MARK: The request

    /// An absolute https URL, or http where that was found acceptable; without credentials and fragment. May have
    /// placeholders behind the host.
    public var tokenURL: String
    public var method = "POST"
    public var grant: GrantType = .refreshToken
    /// Empty where the provider knows no clients.
    public var clientID: String
    public var clientSecret: Secret?
    public var clientAuth: ClientAuthentication
    public var requestFormat: RequestFormat
    /// Sent after those of the grant; never `grant_type`, `refresh_token`, `client_id`, `client_secret`.
    public var parameters: [RequestField] = []
    public var query: [RequestField] = []
    public var headers: [RequestField] = []
    /// RFC 6749 §3.3, separated by blanks.
    public var scope: String?
    public var audience: String?
    /// RFC 8707 §2; sent once each.
    public var resources: [String] = []
    /// Instead of the parameters of the grant.
    public var body: RequestTemplate.Body?
    /// Values that templates use as `computed.NAME`; each may use those before it.
    public var computed: [RequestField] = []
    public var variables: [ProviderVariable] = []
    public var signingKey: SigningKey?
    /// Of the grant `jwt_bearer`.
    public var assertion = AssertionTemplate()
    /// Of `private_key_jwt` and `client_secret_jwt`: issuer and subject are the client id.
    public var clientAssertion = AssertionTemplate()
    /// The fields that an account is made of, for providers without refresh tokens; nil for a refresh token.
    public var accountFields: [String]?

    // MARK: The answer

    public var response: ResponseMapping = .standard
    public var errors: ErrorRules
    /// The life of an access token about which neither the answer nor the token itself says anything.
    public var defaultLifetime: Duration = .seconds(3600)

    // MARK: Behaviour

    public var rotation: RotationBehaviour = .singleUse
    public var skew: Duration = .seconds(60)
    public var window: Duration = .seconds(300)
    public var exchangeDeadline: Duration = .seconds(20)
    public var connectTimeout: Duration = .seconds(5)
    public var sendBy: Duration = .seconds(2)
    public var lockTTL: Duration = .seconds(30)
    /// Exchanges under way at once, per instance.
    public var maxConcurrent = 16
    /// Refreshes over the whole fleet.
    public var rateLimit: RateLimit?
    /// Nil: off.
    public var circuitBreaker: CircuitBreaker? = CircuitBreaker()
    /// How long a log-in lasts where the provider does not say.
    public var grantMaxAge: Duration?
    /// How long before the end of a grant that is announced.
    public var grantWarning: Duration = .seconds(7 * 86_400)
    public var backoffBase: Duration = .seconds(1)
    public var backoffCap: Duration = .seconds(300)
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?
    /// How requests leave, unless an account says otherwise; nil: directly.
    public var proxy: ProviderProxy?
    /// How somebody logs in.
    public var login = LoginDefinition()

    /// - Parameters:
    ///   - clientAuth: nil means basic with a secret, none without.
    ///   - errors: nil means those of the preset `oauth2`.
    public init(
        name: ProviderName, tokenURL: String, clientID: String, clientSecret: Secret? = nil,
        clientAuth: ClientAuthentication? = nil, requestFormat: RequestFormat = .form,
        rotation: RotationBehaviour = .singleUse, errors: ErrorRules? = nil
    ) {
        self.name = name
        self.preset = Preset.standard
        self.tokenURL = tokenURL
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.clientAuth = clientAuth ?? (clientSecret == nil ? .none : .basic)
        self.requestFormat = requestFormat
        self.rotation = rotation
        self.errors = errors ?? .standard
    }

    public var refreshPolicy: RefreshPolicy {
        RefreshPolicy(
            provider: name, rotation: rotation, skew: skew, window: window, sendBy: sendBy,
            exchangeDeadline: exchangeDeadline, connectTimeout: connectTimeout, lockTTL: lockTTL,
            maxConcurrentExchanges: maxConcurrent, backoffBase: backoffBase, backoffCap: backoffCap,
            accountFields: accountFields, rateLimit: rateLimit, circuitBreaker: circuitBreaker,
            grantMaxAge: grantMaxAge,
            grantWarning: grantWarning)
    }

    /// Why these times cannot hold together, or nil. `key` is the one to look at first.
    var contradiction: (key: String, message: String)? {
        if connectTimeout > exchangeDeadline {
            return ("connect_timeout", "connect_timeout is longer than exchange_deadline, which includes it")
        }
        if backoffBase > backoffCap {
            return ("backoff", "backoff.base is longer than backoff.cap")
        }
        guard let message = refreshPolicy.contradiction else { return nil }
        return (skew > window ? "skew" : "lock_ttl", message)
    }

    /// Every secret of the operator's in it, to be kept out of what is shown.
    var secrets: [Secret] { [clientSecret].compactMap { $0 } + variables.map(\.value) }
}
