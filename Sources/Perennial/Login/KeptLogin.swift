public import RefreshCore

/// The answer to a log-in that has been received and is not known to be in the store.
///
/// The journal of refreshes is no place for it: its entries belong to a generation of an account that exists.
public struct KeptLogin: Sendable, Codable {
    /// Names the log-in, here and in the store, where a repeated change is recognised by it.
    public var attempt: String
    public var provider: String
    public var account: String?
    public var name: String?
    public var pool: String?
    public var tier: String?
    public var resumes: Bool
    /// The ID token has to repeat it; nil where none was sent.
    public var nonce: String?
    public var status: Int
    public var headers: [String: String]
    public var body: [UInt8]
    /// Milliseconds on the fleet's clock; see ``RawTokenResponse/requestedAt``.
    public var requestedAt: Int64
    /// The account and its generation before it was first tried to store this; nil until then.
    public var target: Target?

    public struct Target: Sendable, Codable, Hashable {
        public var account: String
        /// 0 where there was none.
        public var generation: Int64

        public init(account: String, generation: Int64) {
            self.account = account
            self.generation = generation
        }
    }

    public init(
        attempt: String, provider: ProviderName, account: AccountID?, name: String?, pool: PoolName?, tier: TierName?,
        resumes: Bool, nonce: String?, response: RawTokenResponse
    ) {
        self.attempt = attempt
        self.provider = provider.rawValue
        self.account = account?.rawValue
        self.name = name
        self.pool = pool?.rawValue
        self.tier = tier?.rawValue
        self.resumes = resumes
        self.nonce = nonce
        status = response.status
        headers = Dictionary(response.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        body = response.body
        requestedAt = response.requestedAt.milliseconds
    }

    public var response: RawTokenResponse {
        RawTokenResponse(
            status: status, headers: headers.map { RawTokenResponse.Header(name: $0.key, value: $0.value) }, body: body,
            requestedAt: WallTime(milliseconds: requestedAt))
    }
}
