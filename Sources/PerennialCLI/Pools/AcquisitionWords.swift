import RefreshCore

/// What to say of acquisitions that are on this machine's disk.
enum AcquisitionWords {
    /// A run that is younger is probably under way.
    private static let longestRun = Duration.seconds(600)

    static func warnings(_ runs: [AcquisitionRun], now: WallTime) -> [String] {
        runs.compactMap { run in
            if let account = run.account {
                return "the account \(account.id), acquired for the pool \(run.pool), is not in Redis yet: "
                    + "a running instance with this state directory stores it"
            }
            guard !run.answers.isEmpty, now - run.startedAt > longestRun else { return nil }
            return "an acquisition for the pool \(run.pool) is half done since \(MachineClock.text(run.startedAt)), "
                + "\(run.tries == 1 ? "begun once" : "tried \(run.tries) times"): the log tells why; "
                + "a restart tries it again, and docs/pools.md tells more (run \(run.attempt))"
        }
    }
}
