import RefreshCore

/// A journal in memory whose checks and writes can be made to fail.
public actor ModelJournal: ResponseJournal {
    private var entries: [JournalEntry] = []
    private var checkFails = false
    private var appendFails = false
    /// Entries ever appended, released ones included.
    public private(set) var appended = 0

    private let keepsStored: Bool

    /// - Parameter keepsStored: whether answers that are in the store are retained, for ever.
    public init(keepsStored: Bool = false) {
        self.keepsStored = keepsStored
    }

    /// - Parameters:
    ///   - check: what ``checkWritable()`` reports from now on.
    ///   - append: what ``append(_:)`` does from now on; a disk can fill up between the two.
    public func fail(check: Bool, append: Bool) {
        checkFails = check
        appendFails = append
    }

    /// As if an earlier life of this instance had left it.
    public func leave(_ entry: JournalEntry) { entries.append(entry) }

    public func checkWritable() throws(JournalError) {
        if checkFails { throw JournalError("the journal's disk is full") }
    }

    public func append(_ entry: JournalEntry) throws(JournalError) {
        if appendFails { throw JournalError("the journal's disk is full") }
        appended += 1
        entries.append(entry)
    }

    public func release(_ attempt: AttemptID) { entries.removeAll { $0.attempt == attempt } }

    public func pending() -> [JournalEntry] { entries.filter { !$0.isStored } }

    public func retain(_ attempt: AttemptID) {
        guard keepsStored else { return release(attempt) }
        for index in entries.indices where entries[index].attempt == attempt { entries[index].isStored = true }
    }

    public func retained() -> [JournalEntry] { entries.filter(\.isStored) }

    public func releaseExpired() {}

    public func entries(of account: AccountID) -> [JournalEntry] {
        entries.filter { $0.account == account }.sorted { $0.generation < $1.generation }
    }
}
