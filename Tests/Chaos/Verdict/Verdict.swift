import RefreshCore
import MockProvider

/// What the providers, Redis, the journals, the logs and the readers say at the end.
struct Verdict: Sendable {
    var fleet: FleetState
    var expectedAccounts: Int
    var losses: [Loss]
    var audit: SpendAudit
    /// By provider.
    var ledgers: [MockTotals]
    var leftovers: Leftovers
    var log: LogScan
    var reads: ReadTally.Counts
    /// What the readers saw that must not happen.
    var incidents: [String]
    /// Instances that ended by themselves, or did not stop as they should.
    var ends: [String]
    var hasLeader: Bool

    /// Everything that must not be, in words. Empty: the run has been passed.
    var violations: [String] {
        var found = audit.unexcused.map { "duplicate spend: \($0)" }
        found += losses.filter { !$0.isExplained }.map { "lost without need: \($0.account): \($0.cause)" }
        found += incidents
        found += ends
        if fleet.accounts.count != expectedAccounts {
            found.append("there are \(fleet.accounts.count) accounts and not \(expectedAccounts)")
        }
        let lost = Set(losses.map(\.account))
        for account in fleet.accounts where !account.isWell && !lost.contains(account.id) {
            let intent = account.intent.map { ", intent \($0.state), \($0.resends) re-sends" } ?? ""
            let fault = account.lastFault.map { ", \($0.kind): \($0.message)" } ?? ""
            found.append("\(account.id) works and is not at rest: \(account.status)\(intent)\(fault)")
        }
        // What its account lacks is a loss by itself. An answer that cannot be read is kept for a person to look at, even
        // where the re-send has helped; all others belong into the store.
        for (instance, entries) in leftovers.journal.sorted(by: { $0.key < $1.key }) {
            for entry in entries where !lost.contains(entry.account.rawValue) {
                let spent = TokenFingerprint(of: entry.spentRefreshToken.reveal())
                if audit.unreadable.contains(spent) { continue }
                found.append("instance \(instance) has left a journal entry of \(entry.account), which works")
            }
        }
        if !hasLeader { found.append("nobody leads at the end") }
        if reads.served == 0 { found.append("not one token was served") }
        return found
    }
}
