import MockProvider

/// Judges the provider's ledger: was any refresh token spent twice?
///
/// An instance that is killed while it waits for the provider's answer leaves a spend behind whose outcome nobody knows.
/// The one who finds it sends the token once more, within the grace that the provider declares, and logs that. Whatever
/// was sent twice without such a log line is a duplicate, even if the provider forgave it.
struct SpendAudit: Sendable, Equatable {
    /// Refreshes that the provider performed.
    var refreshes = 0
    /// Tokens sent again that the provider forgave.
    var graceReplays = 0
    /// Re-sends that the instances logged.
    var loggedRecoveries = 0
    /// What the provider did not forgive.
    var unforgiven = 0
    /// Re-sends of a token that had been sent again before: never allowed.
    var repeatedReplays = 0
    var familiesRevoked = 0

    init() {}

    init(_ ledger: MockLedger, loggedRecoveries: Int) {
        refreshes = ledger.totals.refreshes
        graceReplays = ledger.totals.graceReplays
        unforgiven = ledger.totals.duplicateSpends
        familiesRevoked = ledger.totals.familiesRevoked
        self.loggedRecoveries = loggedRecoveries
        var replays: [TokenFingerprint: Int] = [:]
        for use in ledger.uses where use.outcome == .graceReplay { replays[use.fingerprint, default: 0] += 1 }
        repeatedReplays = replays.values.reduce(0) { $0 + $1 - 1 }
    }

    var duplicateSpends: Int { unforgiven + max(graceReplays - loggedRecoveries, repeatedReplays, 0) }
}
