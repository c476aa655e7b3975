/// What the provider has seen and done since it started. Exact, whatever the ledger's capacity.
public struct MockTotals: Sendable, Hashable, Codable {
    /// Accounts that have been seeded.
    public var accounts = 0
    /// Well-formed requests at the token endpoint, of any outcome.
    public var tokenRequests = 0
    /// Refreshes that the provider performed, whether or not the answer reached the caller. Grace replays not included.
    public var refreshes = 0
    /// Access tokens issued by the client credentials grant.
    public var clientCredentials = 0
    /// Uses of the last consumed token within the grace.
    public var graceReplays = 0
    /// Uses of a refresh token that had been consumed before, outside what the grace allows.
    public var duplicateSpends = 0
    /// Families revoked because of a reuse.
    public var familiesRevoked = 0
    /// Families revoked on request.
    public var familiesRevokedByAdmin = 0
    /// Refresh tokens refused as unknown or revoked, and failed client authentication.
    public var refused = 0
    public var resourceOK = 0
    public var resourceExpired = 0
    /// Calls of the resource without a token or with one that is unknown or revoked.
    public var resourceInvalid = 0
    /// Requests answered 429.
    public var throttled = 0
    /// How often each kind of fault struck.
    public var faults: [String: Int] = [:]
    /// The highest number of times that any single refresh token has been presented.
    public var maxUsesOfOneToken = 0

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case accounts
        case tokenRequests = "token_requests"
        case refreshes
        case clientCredentials = "client_credentials"
        case graceReplays = "grace_replays"
        case duplicateSpends = "duplicate_spends"
        case familiesRevoked = "families_revoked"
        case familiesRevokedByAdmin = "families_revoked_by_admin"
        case refused
        case resourceOK = "resource_ok"
        case resourceExpired = "resource_expired"
        case resourceInvalid = "resource_invalid"
        case throttled, faults
        case maxUsesOfOneToken = "max_uses_of_one_token"
    }
}
