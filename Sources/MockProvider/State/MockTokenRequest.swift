/// A token request as the provider understands it, free of HTTP.
public struct MockTokenRequest: Sendable {
    public enum Grant: Sendable {
        /// RFC 6749 §6.
        case refreshToken(String)
        /// RFC 6749 §4.4.
        case clientCredentials
        /// RFC 6749 §4.1.3 with RFC 7636 §4.5.
        case authorizationCode(String, redirectURI: String?, verifier: String?)
        /// RFC 8628 §3.4.
        case deviceCode(String)
    }

    /// How a client named and proved itself (RFC 6749 §2.3.1).
    public struct Client: Sendable, Hashable {
        public var id: String
        public var secret: String?

        public init(id: String, secret: String? = nil) {
            self.id = id
            self.secret = secret
        }
    }

    public let grant: Grant
    public let client: Client?
    /// Nil for grants without a refresh token. Computed here so that hashing is done before any lock is taken.
    let fingerprint: TokenFingerprint?

    public init(_ grant: Grant, client: Client? = nil) {
        self.grant = grant
        self.client = client
        switch grant {
        case .refreshToken(let token): fingerprint = TokenFingerprint(of: token)
        case .clientCredentials, .authorizationCode, .deviceCode: fingerprint = nil
        }
    }
}
