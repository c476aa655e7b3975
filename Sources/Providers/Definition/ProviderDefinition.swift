public import RefreshCore

/// How the client proves who it is (RFC 6749 §2.3).
public enum ClientAuthentication: String, Sendable, Hashable, CaseIterable {
    /// `Authorization: Basic` (RFC 6749 §2.3.1).
    case basic
    /// Client id and secret in the body.
    case post
    /// A public client: only the id, in the body.
    case none
}

/// How the parameters of a token request are written.
public enum RequestFormat: String, Sendable, Hashable, CaseIterable {
    /// `application/x-www-form-urlencoded` (RFC 6749 §6).
    case form
    /// A JSON object of strings.
    case json
}

/// A further parameter or header of a token request. Its value may be a key, so it never shows.
public struct RequestField: Sendable, Hashable {
    public var name: String
    public var value: Secret

    public init(name: String, value: Secret) {
        self.name = name
        self.value = value
    }
}

/// The declarative description of a token endpoint: request, rotation, times and error rules.
public struct ProviderDefinition: Sendable, Hashable {
    public var name: ProviderName
    /// The preset it was made from.
    public var preset: String
    /// An absolute https URL, or http where that was found acceptable; without credentials and fragment.
    public var tokenURL: String
    public var clientID: String
    public var clientSecret: Secret?
    public var clientAuth: ClientAuthentication
    public var requestFormat: RequestFormat
    /// Sent after those of the grant; never `grant_type`, `refresh_token`, `client_id`, `client_secret`.
    public var parameters: [RequestField] = []
    public var headers: [RequestField] = []
    /// RFC 6749 §3.3, separated by blanks.
    public var scope: String?
    public var audience: String?
    /// RFC 8707 §2; sent once each.
    public var resources: [String] = []
    public var rotation: RotationBehaviour = .singleUse
    public var skew: Duration = .seconds(60)
    public var window: Duration = .seconds(300)
    public var exchangeDeadline: Duration = .seconds(20)
    public var connectTimeout: Duration = .seconds(5)
    public var sendBy: Duration = .seconds(2)
    public var lockTTL: Duration = .seconds(30)
    /// Exchanges under way at once, per instance.
    public var maxConcurrent = 16
    /// The life of an access token about which neither the answer nor the token itself says anything.
    public var defaultLifetime: Duration = .seconds(3600)
    public var backoffBase: Duration = .seconds(1)
    public var backoffCap: Duration = .seconds(300)
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?
    public var errors: ErrorRules

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
            maxConcurrentExchanges: maxConcurrent, backoffBase: backoffBase, backoffCap: backoffCap)
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
}
