import Perennial
import RedisStore
import RefreshCore

/// What became of the entries that no running instance looked after.
struct JournalReplay: Encodable, Sendable, Hashable {
    enum Outcome: String, Encodable, Sendable, Hashable {
        /// The store has it as the account's credentials, or had it already.
        case stored
        /// Its account has moved on or was removed: kept as an orphan, for a person to decide on.
        case orphan
        /// Holds no tokens: still in the journal.
        case unusable
        /// The store did not take it now: still in the journal.
        case waiting
        /// A running instance has its journal open and will see to it.
        case held
    }

    struct Entry: Encodable, Sendable, Hashable {
        var attempt: String
        var account: String?
        var outcome: Outcome
    }

    var entries: [Entry]

    /// Commits what the instance's journal holds; a command's instance has taken over every abandoned journal.
    static func run(_ before: [JournalFinding], on instance: Instance) async throws -> JournalReplay {
        var report = await instance.coordinator.recoverLeftovers()
        // The instance replays at its start too: what it has in hand right now is not seen by a pass of one's own.
        let deadline = ContinuousClock.now + .seconds(10)
        while report.waiting > 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            report = await instance.coordinator.recoverLeftovers()
        }
        while await instance.coordinator.hasLeftoversUnderWay(), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        let pending = Set(await instance.coordinator.deck.journal.pending().map(\.attempt.rawValue))
        let unusable = Set(await instance.unusableAnswers().map(\.attempt.rawValue))
        var entries: [Entry] = []
        for finding in before {
            let outcome: Outcome
            if finding.held {
                outcome = .held
            } else if unusable.contains(finding.attempt) {
                outcome = .unusable
            } else if pending.contains(finding.attempt) {
                outcome = .waiting
            } else if let account = finding.account.flatMap({ try? AccountID($0) }),
                try await instance.orphans.orphans(of: account).contains(where: {
                    $0.attempt.rawValue == finding.attempt
                })
            {
                outcome = .orphan
            } else {
                outcome = .stored
            }
            entries.append(Entry(attempt: finding.attempt, account: finding.account, outcome: outcome))
        }
        return JournalReplay(entries: entries)
    }

    func count(_ outcome: Outcome) -> Int { entries.count { $0.outcome == outcome } }
}
