/// The tokens of a successful answer (RFC 6749 §5.1).
public struct TokenGrant: Sendable, Hashable {
    public var accessToken: Secret
    /// Nil where the provider returned none: the old one stays in use.
    public var refreshToken: Secret?
    public var tokenType: String
    public var expiresAt: WallTime
    /// When it was asked for, on the clock that `expiresAt` was counted on; nil where that is not known.
    public var requestedAt: WallTime?
    /// When the refresh token itself ends, after which only a new log-in helps; nil where the provider does not tell.
    public var grantExpiresAt: WallTime?

    public init(
        accessToken: Secret, refreshToken: Secret?, tokenType: String, expiresAt: WallTime,
        requestedAt: WallTime? = nil, grantExpiresAt: WallTime? = nil
    ) {
        self.requestedAt = requestedAt
        self.grantExpiresAt = grantExpiresAt
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.tokenType = tokenType
        self.expiresAt = expiresAt
    }
}

/// An HTTP answer of a token endpoint, not yet understood.
public struct RawTokenResponse: Sendable, Hashable {
    public var status: Int
    public var headers: [Header]
    public var body: [UInt8]
    /// When the request was sent, on the fleet's clock: `expires_in` counts from here, so a slow answer cannot
    /// stretch a token's life.
    public var requestedAt: WallTime
    /// Whether it answers a re-send, and so may be what was issued before.
    public var isReplay: Bool

    public struct Header: Sendable, Hashable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(status: Int, headers: [Header], body: [UInt8], requestedAt: WallTime, isReplay: Bool = false) {
        self.isReplay = isReplay
        self.status = status
        self.headers = headers
        self.body = body
        self.requestedAt = requestedAt
    }

    /// Whether the answer may hold tokens, and so has to be in the journal before anything else happens to it.
    public var mayHoldTokens: Bool { (200..<300).contains(status) }

    /// The first header of that name, compared without case (RFC 9110 §5.1).
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// How the one exchange went, as far as the transport knows.
public enum ExchangeResult: Sendable {
    /// The request provably never left: the refresh token is unspent.
    case unsent(String)
    /// Neither did it, and that is because the provider could not be reached: name resolution, connection or TLS.
    case unreachable(String)
    /// The request may have been received, and there is no whole answer.
    case unanswered(String)
    case answered(RawTokenResponse)
}

/// What an answer means: the outcome classes at the token endpoint.
public enum ExchangeOutcome: Sendable, Hashable {
    case rotated(TokenGrant)
    /// A definite refusal of this refresh token.
    case refused(String)
    /// The provider's configuration is at fault, not the account.
    case misconfigured(String)
    /// Rate limited or asked to come back later; nothing was spent.
    case throttled(String, retryAfter: Duration?)
    /// Nobody knows whether the refresh token was spent.
    case ambiguous(String)
}

/// The one place from which a refresh token leaves the process.
public protocol TokenEndpoint: Sendable {
    /// Sends one request, once: no retry inside, not after `sendBy`, and back before `deadline`.
    func spend(_ claim: RefreshClaim, policy: RefreshPolicy, sendBy: MonotonicTime, deadline: MonotonicTime) async
        -> ExchangeResult

    /// Classes an answer by the provider's rules. Pure: a journal entry is read by it weeks later.
    func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome
}
