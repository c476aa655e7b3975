/// How one row's provider reads requests and words answers. What becomes of accounts is ``DoubleState``'s part.
protocol DoubleBehaviour: Sendable {
    var tokenPath: String { get }
    var apiPath: String { get }

    /// What a token request presents.
    ///
    /// - Throws: ``DoubleRefusal`` for a request that the provider would not even look at.
    func credential(in request: DoubleRequest, for judge: DoubleJudge) throws(DoubleRefusal) -> DoubleCredential
    func answer(_ issue: DoubleIssue) -> MockReply
    func answer(_ refusal: DoubleRefusal) -> MockReply
    /// The throttling answer, without its Retry-After.
    var throttled: MockReply { get }
    /// Every error that the token endpoint is known to give to a proper request.
    var faults: [DoubleFault] { get }

    /// The API's answer to a call with that access token.
    func apiAnswer(_ access: DoubleAccess) -> MockReply
    /// Every error that the API is known to give.
    var apiFaults: [DoubleFault] { get }
}

/// What a double knows besides the request.
struct DoubleJudge: Sendable {
    let configuration: DoubleConfiguration
    /// Registered clients by id; a nil secret makes a public one.
    let clients: [String: String?]
    let now: MockInstant
}

/// What a token request presents.
enum DoubleCredential: Sendable, Hashable {
    case refreshToken(String)
    /// The client itself, by its id (RFC 6749 §4.4).
    case client(String)
    /// Somebody that the client vouches for (RFC 7523); the text is the assertion, which may be used once.
    case subject(String, assertion: String)
    case login(user: String, password: String)

    /// What the ledger keeps a fingerprint of.
    var text: String {
        switch self {
        case .refreshToken(let text), .client(let text), .subject(_, assertion: let text): text
        case .login(let user, let password): "\(user):\(password)"
        }
    }
}

/// What an access token is worth.
enum DoubleAccess: Sendable, Hashable {
    case good(account: String)
    case missing
    case unknown
    case expired
    case revoked
}

extension DoubleRow {
    func behaviour(_ configuration: DoubleConfiguration) -> any DoubleBehaviour {
        switch self {
        case .oauth2, .clientCredentials, .jwtBearer: GenericDouble(configuration: configuration)
        case .claude: ClaudeDouble()
        case .gemini: GeminiDouble()
        case .openai: OpenAIDouble(configuration: configuration)
        case .pixiv: PixivDouble(configuration: configuration)
        case .warp: WarpDouble(configuration: configuration)
        case .intranet: IntranetDouble(configuration: configuration)
        }
    }
}
