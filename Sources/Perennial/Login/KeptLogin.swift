import RefreshCore

/// The answer to a log-in that has been received and is not known to be in the store.
///
/// The journal of refreshes is no place for it: its entries belong to a generation of an account that exists.
package struct KeptLogin: Sendable, Codable {
    /// Names the log-in, here and in the store, where a repeated change is recognised by it.
    package var attempt: String
    package var provider: String
    package var account: String?
    package var name: String?
    package var pool: String?
    package var tier: String?
    package var resumes: Bool
    /// The ID token has to repeat it; nil where none was sent.
    package var nonce: String?
    package var status: Int
    package var headers: [String: String]
    package var body: [UInt8]
    /// Milliseconds on the fleet's clock; see ``RawTokenResponse/requestedAt``.
    package var requestedAt: Int64
    /// The account and its generation before it was first tried to store this; nil until then.
    package var target: Target?

    package struct Target: Sendable, Codable, Hashable {
        package var account: String
        /// 0 where there was none.
        package var generation: Int64

        package init(account: String, generation: Int64) {
            self.account = account
            self.generation = generation
        }
    }

    package init(
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

    package var response: RawTokenResponse {
        RawTokenResponse(
            status: status, headers: headers.map { RawTokenResponse.Header(name: $0.key, value: $0.value) }, body: body,
            requestedAt: WallTime(milliseconds: requestedAt))
    }
}
