/// What a ``ProviderDouble`` plays, and whom it lets in.
public struct DoubleConfiguration: Sendable {
    public var row: DoubleRow
    public var style: DoubleStyle
    /// Life of issued access tokens. Not an hour by default, because that is what clients assume who cannot read it.
    public var lifetime: Duration = .seconds(2400)
    public var clientID: String
    /// Nil: a public client.
    public var clientSecret: String?
    /// `scope` that a token request has to ask for.
    public var scope: String?
    /// Pixiv: what the hash of `X-Client-Hash` is made with.
    public var hashSecret = "f4a5+hash/secret=7"
    /// Warp: the key in the query.
    public var apiKey = "AIza-warp&key=1"
    /// Headers that a client application of this provider sends; a request without them is turned away.
    public var requiredHeaders: [String: String] = [:]
    /// `jwt_bearer`: PEM of the public key, RSA (RS256) or P-256 (ES256), that assertions are signed for.
    public var assertionKey: String?
    /// `jwt_bearer`: the `aud` that assertions have to name; nil: the URL that the request came to.
    public var audience: String?

    /// - Parameter style: nil means what is usual for the row.
    public init(_ row: DoubleRow, style: DoubleStyle? = nil) {
        self.row = row
        self.style = style ?? DoubleStyle(usualFor: row)
        switch row {
        case .oauth2, .clientCredentials:
            // Characters that form encoding and HTTP basic have to get right (RFC 6749 §2.3.1).
            clientID = "app:1/ä b"
            clientSecret = self.style.clientAuthentication == .none ? nil : "s%3:c+r&t=/ü"
        case .gemini:
            clientID = "1234-abc.apps.example.com"
            clientSecret = "GOCSPX-s3cr3t+/="
        case .pixiv:
            clientID = "KzEZED7aC0vird8jWyHM38mXjNTY"
            clientSecret = "W9JZoJe00qPvJsiyCGT3+/="
        case .claude, .openai, .jwtBearer, .warp, .intranet:
            clientID = "app-\(row.rawValue)"
            clientSecret = nil
        }
        switch row {
        case .openai: scope = "openid profile email"
        case .pixiv: requiredHeaders = ["App-OS": "ios", "App-OS-Version": "14.6"]
        case .warp: requiredHeaders = ["X-Warp-Client-Version": "v0.2026.01.01"]
        default: break
        }
    }
}

extension DoubleConfiguration: Redacted {
    public var description: String { "double of \(row.rawValue)" }
}

/// The variations of token endpoints that leave the meaning alone.
public struct DoubleStyle: Sendable, Hashable {
    public enum Body: String, Sendable, Hashable, CaseIterable {
        case form, json
    }

    /// RFC 6749 §2.3.1.
    public enum ClientAuthentication: String, Sendable, Hashable, CaseIterable {
        case basic, post, none
    }

    /// How an answer says when the access token ends.
    public enum Expiry: String, Sendable, Hashable, CaseIterable {
        case expiresIn = "expires_in"
        case expiresInText = "expires_in as a string"
        case expiresAtSeconds = "expires_at in seconds"
        case expiresAtMilliseconds = "expires_at in milliseconds"
        case expiresAtISO = "expires_at as ISO 8601"
        /// Nowhere but in the token, a JWT (RFC 7519 §4.1.4).
        case claim = "exp of the JWT"
    }

    /// What token requests may be written as.
    public var bodies: Set<Body>
    public var clientAuthentication: ClientAuthentication
    public var expiry: Expiry

    public init(bodies: Set<Body>, clientAuthentication: ClientAuthentication, expiry: Expiry) {
        self.bodies = bodies
        self.clientAuthentication = clientAuthentication
        self.expiry = expiry
    }

    init(usualFor row: DoubleRow) {
        switch row {
        case .oauth2, .clientCredentials:
            self.init(bodies: [.form], clientAuthentication: .basic, expiry: .expiresIn)
        case .jwtBearer: self.init(bodies: [.form], clientAuthentication: .none, expiry: .expiresIn)
        case .claude: self.init(bodies: [.json], clientAuthentication: .none, expiry: .expiresIn)
        case .gemini, .pixiv: self.init(bodies: [.form], clientAuthentication: .post, expiry: .expiresIn)
        case .openai: self.init(bodies: [.form, .json], clientAuthentication: .none, expiry: .expiresIn)
        case .warp: self.init(bodies: [.form], clientAuthentication: .none, expiry: .claim)
        case .intranet: self.init(bodies: [.json], clientAuthentication: .none, expiry: .expiresIn)
        }
    }
}
