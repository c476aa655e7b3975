import FoundationEssentials
import MockProvider

/// The outcome of a run, as JSON and as text.
struct ChaosReport: Sendable, Encodable {
    struct Provider: Sendable, Encodable {
        var name: String
        var rotation: Rotation
        var totals: MockTotals
    }

    struct Fault: Sendable, Encodable {
        var kind: FaultKind
        var target: String
        /// Milliseconds since the start.
        var from: Int64
        var to: Int64
    }

    var topology: Topology
    var seed: UInt64
    var fsync: Fsync
    var durability: String?
    var instances: Int
    var accounts: Int
    /// Seconds.
    var tokenLife: Double
    /// Seconds, from the first fault to the verdict.
    var took: Double
    var reads: ReadTally.Counts
    var providers: [Provider]
    /// Uses of refresh tokens; second ones that were announced as recovery; those that nobody announced.
    var spends: Int
    var recoveries: Int
    var unexcusedSpends: Int
    var losses: [Loss]
    var orphans: [String]
    var journalEntries: Int
    var notActive: Int
    var intents: Int
    var logLines: [String: Int]
    var alarms: [String]
    var faults: [Fault]
    var violations: [String]
    /// Where logs and data are, if they have been kept.
    var files: String?

    init(plan: ChaosPlan, verdict: Verdict, timeline: [Timeline.Entry], startedAt: Int64, took: Int64) {
        topology = plan.topology
        seed = plan.seed
        fsync = plan.fsync
        durability = plan.durability
        instances = plan.instances
        accounts = plan.accounts
        tokenLife = Double(plan.lifetime.milliseconds) / 1000
        self.took = Double(took) / 1000
        reads = verdict.reads
        providers = zip(plan.rotations, verdict.ledgers).map {
            Provider(name: $0.provider, rotation: $0, totals: $1)
        }
        spends = verdict.audit.uses
        recoveries = verdict.audit.recoveries
        unexcusedSpends = verdict.audit.unexcused.count
        losses = verdict.losses
        orphans = verdict.leftovers.orphans
        journalEntries = verdict.leftovers.journalEntries
        notActive = verdict.fleet.accounts.count { $0.status != "active" }
        intents = verdict.fleet.accounts.count { $0.intent != nil }
        logLines = verdict.log.levels
        alarms = verdict.log.alarms
        faults = timeline.map {
            Fault(kind: $0.kind, target: $0.target, from: $0.from - startedAt, to: ($0.to ?? $0.from) - startedAt)
        }
        violations = verdict.violations
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
