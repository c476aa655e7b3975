import Logging
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The journals of the instances that share a state directory: `<instance>.journal`, each locked by its process.
///
/// An instance is named by its journal. A process that starts takes over a journal which no process holds, and with it
/// the identity, so that after a crash the origin of an intent comes back; further abandoned ones are read in.
public struct JournalDirectory: Sendable {
    public let path: String
    let ring: KeyRing
    private let retention: Duration
    private let logger: Logger

    /// - Parameter retention: how long an entry is kept once its answer is in the store, in case a failover loses it
    ///   there; zero for a store that loses nothing.
    public init(path: String, ring: KeyRing, retention: Duration = .zero, logger: Logger) {
        self.path = path
        self.ring = ring
        self.retention = retention
        self.logger = logger
    }

    /// - Parameter fallbackName: for a journal of one's own where none is free to take over.
    /// - Throws: ``JournalError`` when the directory or a journal cannot be used; entries that cannot be opened with
    ///   the keys at hand are an error too, because they may hold the only copy of a token.
    public func open(fallbackName: String) throws(JournalError) -> (instance: InstanceID, journal: FileJournal) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw JournalError("the journal directory \(path) cannot be made")
        }
        for name in try journalNames() {
            guard let id = try? InstanceID(name), let file = try JournalFile.open(path: filePath(name)) else {
                continue
            }
            return try finish(id, file)
        }
        // Another process may have the same name in mind; each gets its own file.
        for suffix in 0..<1000 {
            let name = suffix == 0 ? fallbackName : "\(fallbackName)-\(suffix)"
            guard let id = try? InstanceID(name), let file = try JournalFile.open(path: filePath(name)) else {
                continue
            }
            JournalFile.syncDirectory(path)
            return try finish(id, file)
        }
        throw JournalError("no journal in \(path) is free under the name \(fallbackName)")
    }

    /// Reads the file, and moves what other abandoned journals hold into it.
    private func finish(
        _ id: InstanceID, _ file: sending JournalFile
    ) throws(JournalError) -> (instance: InstanceID, journal: FileJournal) {
        var entries = try read(file).entries
        for name in try journalNames() where name != id.rawValue {
            guard let abandoned = try JournalFile.open(path: filePath(name)) else { continue }
            let (found, isDamaged) = try read(abandoned)
            let codec = JournalEntryCodec(ring: ring)
            for entry in found {
                try file.append(JournalRecord.bytes(of: entry, sealedBy: codec))
            }
            try file.sync()
            entries += found
            if isDamaged { try abandoned.setAside() } else { abandoned.remove() }
        }
        let pending = entries.count { !$0.isStored }
        if pending > 0 {
            logger.notice("the journal holds \(pending) token responses that are not known to be stored")
        }
        return (id, FileJournal(file: file, entries: entries, ring: ring, retention: retention, logger: logger))
    }

    private static let suffix = ".journal"

    func filePath(_ name: String) -> String { "\(path)/\(name)\(Self.suffix)" }

    func journalNames() throws(JournalError) -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
            throw JournalError("the journal directory \(path) cannot be read")
        }
        return names.filter { $0.hasSuffix(Self.suffix) }.map { String($0.dropLast(Self.suffix.count)) }.sorted()
    }

    /// The live entries of a file. What a crash cut short at its end is cut off, because its writer never went on; damage
    /// before whole records is left where it is.
    private func read(_ file: JournalFile) throws(JournalError) -> (entries: [JournalEntry], isDamaged: Bool) {
        let bytes = try file.readAll()
        let scan = JournalScan(bytes)
        if let tail = scan.tornTail {
            logger.warning("journal \(file.path): \(tail.count) bytes at its end are no whole record, cut off")
            try file.truncate(to: tail.lowerBound)
        }
        for range in scan.damage where range != scan.tornTail {
            logger.error("journal \(file.path): \(range.count) bytes at \(range.lowerBound) are damaged, passed over")
        }
        let codec = JournalEntryCodec(ring: ring)
        let entries = try scan.live.map { record throws(JournalError) in
            var entry = try codec.open(record.sealed, attempt: record.attempt)
            entry.isStored = record.isStored
            return entry
        }
        return (entries, scan.damage.contains { $0 != scan.tornTail })
    }
}
