/// What the provider answers to a token request, free of HTTP.
public struct MockTokenAnswer: Sendable, Equatable {
    /// A successful token response (RFC 6749 §5.1).
    public struct Issued: Sendable, Equatable {
        public var accessToken: String
        /// Nil where the response carries none.
        public var refreshToken: String?
        /// Seconds.
        public var expiresIn: Int64
        /// Whose tokens they are, after a log-in.
        public var account: String?
        public var idToken: String?
    }

    public enum Content: Sendable, Equatable {
        case issued(Issued)
        /// An error response (RFC 6749 §5.2) with its status.
        case refused(status: Int, error: String, description: String)
        /// A 5xx without a token endpoint's error code.
        case failure(status: Int)
        /// 429 with Retry-After in seconds.
        case throttled(retryAfter: Int64)
        /// 200 with something that is no JSON.
        case html
    }

    public enum Delivery: Sendable, Equatable {
        case complete
        /// The body ends early and the connection closes.
        case truncated
        /// The connection closes without an answer.
        case dropped
    }

    public var content: Content
    public var delivery: Delivery = .complete
    /// How long to hold the answer back, from when the request was processed.
    public var hold: Duration = .zero

    static func invalidGrant(_ description: String) -> MockTokenAnswer {
        MockTokenAnswer(content: .refused(status: 400, error: "invalid_grant", description: description))
    }

    static func invalidClient(_ description: String) -> MockTokenAnswer {
        MockTokenAnswer(content: .refused(status: 401, error: "invalid_client", description: description))
    }
}

/// What the protected resource says to a bearer token (RFC 6750 §3).
public enum MockResourceAnswer: Sendable, Equatable {
    case ok(account: String)
    case expired
    /// Unknown or revoked.
    case invalid
    /// No token was presented.
    case missing
}
