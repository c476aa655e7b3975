import RefreshCore

/// One fault of a schedule. What it hits and how hard is decided by its own dice.
struct ScheduledFault: Sendable, Hashable {
    /// From 1.
    var number: Int
    /// Since the start.
    var at: Duration
    var kind: FaultKind
    var seed: UInt64
}

/// When which fault is injected: a function of plan and seed alone.
enum FaultSchedule {
    /// Faults at random distances until the end of the run. Each kind comes once before one comes twice; the one that
    /// takes long comes at most once in every five minutes.
    static func make(_ plan: ChaosPlan) -> [ScheduledFault] {
        var dice = SplitMix64(seed: plan.seed)
        var bag: [FaultKind] = []
        var faults: [ScheduledFault] = []
        var at = Duration.milliseconds(Int64.random(in: 500...2000, using: &dice))
        var lastLong: Duration?
        while at < plan.duration {
            if bag.isEmpty { bag = plan.faults.shuffled(using: &dice) }
            let kind = bag.removeLast()
            if kind != .twoLeaders || lastLong.map({ at - $0 >= .seconds(300) }) ?? true {
                if kind == .twoLeaders { lastLong = at }
                faults.append(ScheduledFault(number: faults.count + 1, at: at, kind: kind, seed: dice.next()))
            }
            at += .milliseconds(Int64.random(in: ChaosPlan.gap, using: &dice))
        }
        return faults
    }
}
