/// Keeps the totals and the details of the ledger, and counts how often each token was presented.
struct LedgerBook: Sendable {
    var totals = MockTotals()
    private(set) var ring: UseRing
    /// Presentations of tokens older than a family's previous one, where there was more than one.
    private var usesOfOlder: [MockTokenCodec.Refresh: UInt32] = [:]
    /// Bounds ``usesOfOlder``; beyond it only `maxUsesOfOneToken` may fall behind.
    private static let usesOfOlderLimit = 1_000_000

    init(capacity: Int) {
        ring = UseRing(capacity: capacity)
    }

    /// Counts a fault that struck.
    mutating func count(_ kind: MockFault.Kind) {
        totals.faults[kind.name, default: 0] += 1
        if case .throttle = kind { totals.throttled += 1 }
    }

    /// Counts one more presentation of a token that is this provider's.
    mutating func countUse(of token: MockTokenCodec.Refresh, in family: inout MockFamily) {
        if let uses = family.countUse(of: token.generation) {
            totals.maxUsesOfOneToken = max(totals.maxUsesOfOneToken, Int(uses))
        } else if family.isSpent(generation: token.generation) {
            // An older token that is not in the table had been presented exactly once: to be consumed.
            let uses = (usesOfOlder[token] ?? 1) + 1
            remember(uses, of: token)
            totals.maxUsesOfOneToken = max(totals.maxUsesOfOneToken, Int(uses))
        }
    }

    /// To be called before a rotation, by which the family's previous token becomes an older one.
    mutating func keepCountOfPrevious(in family: MockFamily, number: UInt32) {
        guard family.generation > 0, family.usesOfPrevious > 1 else { return }
        remember(
            family.usesOfPrevious, of: MockTokenCodec.Refresh(family: number, generation: family.generation - 1))
    }

    private mutating func remember(_ uses: UInt32, of token: MockTokenCodec.Refresh) {
        if usesOfOlder[token] != nil || usesOfOlder.count < Self.usesOfOlderLimit {
            usesOfOlder[token] = uses
        }
    }

    /// Enters a use of a refresh token.
    mutating func enter(
        _ fingerprint: TokenFingerprint, family: UInt32?, outcome: UseRing.Outcome, isDuplicateSpend: Bool,
        at now: MockInstant
    ) {
        if isDuplicateSpend { totals.duplicateSpends += 1 }
        ring.append(
            UseRing.Record(
                fingerprint: fingerprint.bits,
                at: now.milliseconds,
                family: family.map { Int32(bitPattern: $0) } ?? -1,
                outcome: outcome,
                isDuplicateSpend: isDuplicateSpend))
    }
}
