import Dispatch
import Logging
import RefreshCore
import Sealing
import Synchronization

/// The journal of an instance on disk.
///
/// Entries that arrive while a write is under way share the next one: a thousand refreshes a second need a few hundred
/// syncs. A file that is mostly made of what is not needed any more is written anew, so it stays small.
public actor FileJournal: ResponseJournal {
    private struct Held {
        var entry: JournalEntry
        /// Of its records in the file.
        var size: Int
        var storedAt: ContinuousClock.Instant?
    }

    private let codec: JournalEntryCodec
    private let logger: Logger
    private let disk: JournalDisk
    private let retention: Duration
    private var held: [AttemptID: Held] = [:]
    private var heldSize = 0
    /// Records that are being written, or have been a moment ago: not among the held ones yet.
    private var unregistered: [AttemptID: [UInt8]] = [:]
    /// Attempts whose answers are not known to be stored, oldest first; may name some that are not held any more.
    private var pendingOrder: [AttemptID] = []
    private var pendingCount = 0
    /// Attempts whose answers are stored, in the order in which they were; likewise.
    private var retainedOrder: [AttemptID] = []
    private var byAccount: [AccountID: [AttemptID]] = [:]
    private var queued: [(bytes: [UInt8], continuation: CheckedContinuation<JournalError?, Never>?)] = []
    private var isWriting = false
    private var isFlushDue = false
    private var fileSize: Int
    private var failure: JournalError?
    private static let releaseDelay = Duration.milliseconds(10)
    /// A smaller file is not worth writing anew while something in it is held.
    private static let compactionSize = 4 << 20

    init(file: sending JournalFile, entries: [JournalEntry], ring: KeyRing, retention: Duration, logger: Logger) {
        self.codec = JournalEntryCodec(ring: ring)
        self.retention = retention
        self.logger = logger
        self.fileSize = file.size
        self.disk = JournalDisk(file: file)
        let now = ContinuousClock.now
        for entry in entries {
            let size = entry.response.body.count + 512
            held[entry.attempt] = Held(entry: entry, size: size, storedAt: entry.isStored ? now : nil)
            heldSize += size
            byAccount[entry.account, default: []].append(entry.attempt)
            if entry.isStored { retainedOrder.append(entry.attempt) } else { pendingOrder.append(entry.attempt) }
        }
        pendingCount = pendingOrder.count
    }

    public func checkWritable() async throws(JournalError) {
        guard failure != nil else { return }
        // Try again with nothing at stake: an empty write and a sync tell whether the disk is back.
        if let error = await write([]) { throw error }
    }

    public func append(_ entry: JournalEntry) async throws(JournalError) {
        let record = JournalRecord.response(entry.attempt, sealed: try codec.seal(entry)).encoded
        unregistered[entry.attempt] = record
        defer { unregistered[entry.attempt] = nil }
        if let error = await write(record) { throw error }
        held[entry.attempt] = Held(entry: entry, size: record.count, storedAt: nil)
        heldSize += record.count
        pendingOrder.append(entry.attempt)
        pendingCount += 1
        byAccount[entry.account, default: []].append(entry.attempt)
    }

    public func release(_ attempt: AttemptID) {
        guard let gone = held.removeValue(forKey: attempt) else { return }
        heldSize -= gone.size
        if gone.storedAt == nil { pendingCount -= 1 }
        byAccount[gone.entry.account]?.removeAll { $0 == attempt }
        if byAccount[gone.entry.account]?.isEmpty == true { byAccount[gone.entry.account] = nil }
        if held.isEmpty {
            pendingOrder.removeAll(keepingCapacity: true)
            retainedOrder.removeAll(keepingCapacity: true)
        }
        writeSoon(.released(attempt))
    }

    public func retain(_ attempt: AttemptID) {
        guard retention > .zero else { return release(attempt) }
        guard held[attempt] != nil, held[attempt]?.storedAt == nil else { return }
        held[attempt]?.storedAt = .now
        held[attempt]?.entry.isStored = true
        pendingCount -= 1
        retainedOrder.append(attempt)
        writeSoon(.stored(attempt))
    }

    public func releaseExpired() {
        let now = ContinuousClock.now
        // In the order of their times, so the first one that stays ends it.
        let kept = retainedOrder.firstIndex { held[$0]?.storedAt.map { now - $0 < retention } ?? false }
        let expired = retainedOrder.prefix(kept ?? retainedOrder.count)
        retainedOrder.removeFirst(expired.count)
        for attempt in expired { release(attempt) }
    }

    public func pending() -> [JournalEntry] {
        guard pendingCount > 0 else { return [] }
        if pendingOrder.count > 2 * pendingCount + 16 {
            pendingOrder.removeAll { held[$0] == nil || held[$0]?.storedAt != nil }
        }
        return pendingOrder.compactMap { attempt in
            guard let held = held[attempt], held.storedAt == nil else { return nil }
            return held.entry
        }
    }

    public func retained() -> [JournalEntry] { retainedOrder.compactMap { held[$0]?.entry } }

    public func entries(of account: AccountID) -> [JournalEntry] {
        (byAccount[account] ?? []).compactMap { held[$0]?.entry }.sorted { $0.generation < $1.generation }
    }

    /// Rides with the next entry, or goes by itself in a moment.
    private func writeSoon(_ record: JournalRecord) {
        queued.append((record.encoded, nil))
        guard !isFlushDue else { return }
        isFlushDue = true
        // Weak: a journal that is let go of meanwhile gives its lock free at once.
        Task { [weak self] in
            try? await Task.sleep(for: Self.releaseDelay)
            await self?.flushReleases()
        }
    }

    /// Writes out what is left. With nothing held the file is removed, if asked to.
    public func close(removingIfEmpty: Bool) async {
        _ = await write([])
        if removingIfEmpty, held.isEmpty { await disk.remove() }
    }

    private func write(_ bytes: [UInt8]) async -> JournalError? {
        await withCheckedContinuation { continuation in
            queued.append((bytes, continuation))
            pump()
        }
    }

    private func flushReleases() {
        isFlushDue = false
        pump()
    }

    private func pump() {
        guard !isWriting, !queued.isEmpty else { return }
        isWriting = true
        let batch = queued
        queued = []
        let bytes = batch.flatMap(\.bytes)
        // Releases alone are written but not synced: they survive a killed process, and after a power cut a replay finds
        // the commit already made.
        let mustSync = batch.contains { $0.continuation != nil }
        let rewritten = rewrite(with: bytes, isEmpty: batch.allSatisfy { $0.continuation == nil || $0.bytes.isEmpty })
        fileSize = rewritten?.count ?? fileSize + bytes.count
        Task {
            let error = await disk.write(rewritten ?? bytes, replacing: rewritten != nil, syncing: mustSync)
            finished(batch.compactMap(\.continuation), error)
        }
    }

    /// What the file is to hold from now on where it is mostly made of what is not needed any more; else nil.
    ///
    /// - Parameter isEmpty: whether the batch holds no new entry, and may be left out where nothing is held.
    private func rewrite(with batch: [UInt8], isEmpty: Bool) -> [UInt8]? {
        if held.isEmpty, isEmpty, unregistered.isEmpty { return fileSize > Self.compactionSize / 4 ? [] : nil }
        guard fileSize > Self.compactionSize, fileSize > 2 * heldSize else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(heldSize + batch.count)
        for attempt in pendingOrder + retainedOrder {
            guard let held = held[attempt] else { continue }
            // One that cannot be sealed now stays readable where it is: the file is left alone.
            guard let record = try? JournalRecord.bytes(of: held.entry, sealedBy: codec) else { return nil }
            bytes += record
        }
        // Some of them may be in the batch as well; reading takes one.
        for record in unregistered.values { bytes += record }
        return bytes + batch
    }

    private func finished(_ continuations: [CheckedContinuation<JournalError?, Never>], _ error: JournalError?) {
        isWriting = false
        if let error, failure == nil {
            logger.critical("\(error.description): no refresh token is spent until it can be written again")
        } else if error == nil, failure != nil {
            logger.notice("journal can be written again")
        }
        failure = error
        for continuation in continuations { continuation.resume(returning: error) }
        pump()
    }
}

/// The blocking side of the journal: one serial queue, so that a slow disk holds up no other work.
private final class JournalDisk: Sendable {
    private let queue = DispatchQueue(label: "perennial.journal")
    // Not NIOLockedValueBox, which takes Sendable values only.
    private let file: Mutex<JournalFile>

    init(file: sending JournalFile) {
        self.file = Mutex(file)
    }

    func write(_ bytes: [UInt8], replacing: Bool, syncing: Bool) async -> JournalError? {
        await onQueue { file in
            do throws(JournalError) {
                if replacing {
                    try file.replace(with: bytes)
                } else {
                    try file.append(bytes)
                    if syncing { try file.sync() }
                }
                return nil
            } catch {
                return error
            }
        }
    }

    func remove() async {
        _ = await onQueue { file in
            file.remove()
            return nil
        }
    }

    private func onQueue(_ work: @escaping @Sendable (JournalFile) -> JournalError?) async -> JournalError? {
        await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: self.file.withLock { work($0) })
            }
        }
    }
}
