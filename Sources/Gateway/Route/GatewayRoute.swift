import Providers
public import RefreshCore

/// An entry of the gateway: where calls go, whose token they carry, and what is made of the answers.
public struct GatewayRoute: Sendable, Hashable {
    /// 1 to 64 letters, digits and `. _ -`: the segment behind `/gw/`.
    public var name: String
    public var upstream: UpstreamURL
    /// Nil where every caller has to choose.
    public var source: RouteSource?
    /// Nil where callers cannot choose.
    public var choice: SourceChoice?
    public var injection: TokenInjection = .bearer
    public var headers = HeaderPolicy()
    /// A caller's own credential is passed on, and no token of Perennial's put in.
    public var ownCredentialWins = false
    /// Come before those of the provider.
    public var rules = RuleList<APIErrorClass>()
    public var reset = QuotaReset()
    public var dimension: DimensionSource?
    /// Names the header with the caller's session, for pools with the strategy `sticky`.
    public var sessionHeader: String?
    public var budget = CallBudget()
    public var replay = ReplayLimits()
    public var compression: Compression = .auto
    /// `%2F` in a path is passed on as it is.
    public var allowsEncodedSlashes = false
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?

    public init(name: String, upstream: UpstreamURL, source: RouteSource?) {
        self.name = name
        self.upstream = upstream
        self.source = source
    }
}

/// Whose token a call carries.
public enum RouteSource: Sendable, Hashable, CustomStringConvertible {
    case account(AccountID)
    case pool(PoolName)

    public var description: String {
        switch self {
        case .account(let account): "account \(account)"
        case .pool(let pool): "pool \(pool)"
        }
    }
}

/// What tells quotas apart that an account has for each model or scope.
public enum DimensionSource: Sendable, Hashable {
    /// The value of a header.
    case header(String)
    /// A value in the JSON body of the request, where that is held for a repetition.
    case json(JSONPointer)
}

/// How much one request may cost.
public struct CallBudget: Sendable, Hashable {
    /// Calls of the upstream, the first included.
    public var tries = 3
    /// From the request's head to that of the answer which is passed on; reading the request's body included.
    public var deadline: Duration = .seconds(300)
    /// Of each try: until the connection stands, TLS and proxy included.
    public var connect: Duration = .seconds(5)
    /// Of each try: until the answer's head is there.
    public var firstByte: Duration = .seconds(120)
    /// Between two pieces of an answer, and between two pieces of a request.
    public var idle: Duration = .seconds(120)

    public init() {}
}

/// How much of a request's body is kept so that it can be sent once more, in bytes.
public struct ReplayLimits: Sendable, Hashable {
    public var memory = 256 * 1024
    /// All of it, where what is beyond ``memory`` goes to a file. What is longer is streamed, and sent once.
    public var file = 16 * 1024 * 1024

    public init() {}
}

/// What becomes of the caller's `Accept-Encoding`.
public enum Compression: String, Sendable, Hashable, CaseIterable {
    /// Passed on, unless a rule has to look into bodies: those of a compressed answer cannot be read.
    case auto
    case pass
    /// Never passed on.
    case off
}
