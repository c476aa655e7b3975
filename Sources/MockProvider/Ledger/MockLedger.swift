/// The provider's account of what happened: the judge of whether a fleet spent a refresh token twice.
///
/// Decodes what `GET /ledger` answers, with `uses` empty unless `detail=1` was asked for.
public struct MockLedger: Sendable, Hashable {
    public var totals: MockTotals
    /// Uses of refresh tokens, oldest first; bounded by ``MockProviderConfiguration/ledgerCapacity``.
    public var uses: [MockTokenUse]

    public init(totals: MockTotals, uses: [MockTokenUse]) {
        self.totals = totals
        self.uses = uses
    }
}

extension MockLedger: Decodable {
    private enum CodingKeys: String, CodingKey {
        case uses
    }

    public init(from decoder: any Decoder) throws {
        totals = try MockTotals(from: decoder)
        uses =
            try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent([MockTokenUse].self, forKey: .uses) ?? []
    }
}
