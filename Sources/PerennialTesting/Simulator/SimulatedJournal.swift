import RefreshCore

/// An instance's journal on a disk that can fill up, fail and forget what was not synced.
struct SimulatedJournal {
    /// What is on disk for certain, oldest first.
    private(set) var entries: [JournalEntry] = []
    /// Written, and not synced yet.
    private var unsynced: [JournalEntry] = []
    /// Released since the last sync: after a power cut they can be there again.
    private var ghosts: [JournalEntry] = []
    private(set) var isFailing = false
    var isDiskFull = false

    func entry(_ attempt: AttemptID) -> JournalEntry? { entries.first { $0.attempt == attempt } }

    mutating func write(_ entry: JournalEntry) { unsynced.append(entry) }

    /// The write of `entry` ends. False when it could not be made durable.
    mutating func sync(_ entry: JournalEntry, fails: Bool) -> Bool {
        unsynced.removeAll { $0.attempt == entry.attempt }
        isFailing = fails || isDiskFull
        guard !isFailing else { return false }
        ghosts.removeAll()
        entries.append(entry)
        return true
    }

    /// Whether it can be written; tries again after a failure.
    mutating func checkWritable() -> Bool {
        if isFailing, !isDiskFull { isFailing = false }
        return !isFailing
    }

    mutating func release(_ attempt: AttemptID) {
        unsynced.removeAll { $0.attempt == attempt }
        guard let index = entries.firstIndex(where: { $0.attempt == attempt }) else { return }
        ghosts.append(entries.remove(at: index))
    }

    /// The process dies. What was not synced survives a killed process, and by chance a power cut.
    mutating func crash(powerCut: Bool, using random: inout SplitMix64) {
        let survives = !powerCut || random.oneIn(2)
        if survives, !isDiskFull {
            entries += unsynced
        }
        if powerCut, random.oneIn(2) { entries = ghosts + entries }
        unsynced.removeAll()
        ghosts.removeAll()
        isFailing = false
    }
}
