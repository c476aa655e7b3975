import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One journal file as it lies in the directory, for people to look at.
public struct JournalReport: Sendable {
    /// An answer that is not known to be in the store, or that is kept for a while in case a failover loses it there.
    public enum Item: Sendable {
        case entry(JournalEntry)
        /// The keys at hand do not open it, or a newer version wrote it.
        case unreadable(AttemptID, reason: String)

        public var attempt: AttemptID {
            switch self {
            case .entry(let entry): entry.attempt
            case .unreadable(let attempt, _): attempt
            }
        }
    }

    /// The instance whose journal it is: the file's name.
    public var instance: String
    /// Whether a process has it open: its entries are looked after.
    public var isHeld: Bool
    /// Oldest first.
    public var items: [Item]
    /// Bytes that are no whole record; of a journal in use they may be a write under way.
    public var tornBytes: Int
}

extension JournalDirectory {
    /// What all journals hold. Reads only: neither makes nor changes a file, and keeps no running instance from its own.
    ///
    /// - Throws: ``JournalError`` when the directory or a file cannot be read. Entries that cannot be opened are no error
    ///   here.
    public func survey() throws(JournalError) -> [JournalReport] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        var reports: [JournalReport] = []
        for name in try journalNames() {
            // A file that an instance has just removed is as good as empty.
            guard let (bytes, isHeld) = try JournalFile.look(path: filePath(name)) else { continue }
            let scan = JournalScan(bytes)
            let codec = JournalEntryCodec(ring: ring)
            let items = scan.live.map { record -> JournalReport.Item in
                do throws(JournalError) {
                    var entry = try codec.open(record.sealed, attempt: record.attempt)
                    entry.isStored = record.isStored
                    return .entry(entry)
                } catch {
                    return .unreadable(record.attempt, reason: error.description)
                }
            }
            reports.append(
                JournalReport(
                    instance: name, isHeld: isHeld, items: items, tornBytes: scan.damage.reduce(0) { $0 + $1.count }))
        }
        return reports
    }

    /// What came of ``drop(_:)``.
    public enum DropReply: Sendable, Hashable {
        case dropped(instance: String)
        /// A process has the journal open: only it may write there.
        case held(instance: String)
        case missing
    }

    /// Forgets an entry for good.
    ///
    /// - Throws: ``JournalError`` when a journal cannot be read or written.
    public func drop(_ attempt: AttemptID) throws(JournalError) -> DropReply {
        for report in try survey() where report.items.contains(where: { $0.attempt == attempt }) {
            guard !report.isHeld, let file = try JournalFile.open(path: filePath(report.instance)) else {
                return .held(instance: report.instance)
            }
            // Between looking and locking an instance may have come and gone.
            let scan = JournalScan(try file.readAll())
            guard scan.live.contains(where: { $0.attempt == attempt }) else { return .missing }
            if let tail = scan.tornTail { try file.truncate(to: tail.lowerBound) }
            try file.append(JournalRecord.released(attempt).encoded)
            try file.sync()
            return .dropped(instance: report.instance)
        }
        return .missing
    }
}
