import Dispatch
import Logging
import RefreshCore
import Sealing
import Synchronization

/// The journal of an instance on disk.
///
/// Entries that arrive while a write is under way share the next one: a thousand refreshes a second need a few hundred
/// syncs. When nothing is live the file is cut to nothing, so it stays small.
public actor FileJournal: ResponseJournal {
    private let codec: JournalEntryCodec
    private let logger: Logger
    private let disk: JournalDisk
    private var live: [AttemptID: JournalEntry] = [:]
    private var order: [AttemptID] = []
    private var queued: [(bytes: [UInt8], continuation: CheckedContinuation<JournalError?, Never>?)] = []
    private var isWriting = false
    private var isFlushDue = false
    private static let releaseDelay = Duration.milliseconds(10)
    private var failure: JournalError?

    init(file: sending JournalFile, entries: [JournalEntry], ring: KeyRing, logger: Logger) {
        self.codec = JournalEntryCodec(ring: ring)
        self.logger = logger
        self.disk = JournalDisk(file: file)
        for entry in entries {
            live[entry.attempt] = entry
            order.append(entry.attempt)
        }
    }

    public func checkWritable() async throws(JournalError) {
        guard failure != nil else { return }
        // Try again with nothing at stake: an empty write and a sync tell whether the disk is back.
        if let error = await write([]) { throw error }
    }

    public func append(_ entry: JournalEntry) async throws(JournalError) {
        let record = JournalRecord.response(entry.attempt, sealed: try codec.seal(entry)).encoded
        if let error = await write(record) { throw error }
        live[entry.attempt] = entry
        order.append(entry.attempt)
    }

    public func release(_ attempt: AttemptID) {
        guard live.removeValue(forKey: attempt) != nil else { return }
        if live.isEmpty { order.removeAll(keepingCapacity: true) }
        queued.append((JournalRecord.released(attempt).encoded, nil))
        // Rides with the next entry, or goes by itself in a moment.
        guard !isFlushDue else { return }
        isFlushDue = true
        // Weak: a journal that is let go of meanwhile gives its lock free at once.
        Task { [weak self] in
            try? await Task.sleep(for: Self.releaseDelay)
            await self?.flushReleases()
        }
    }

    public func pending() -> [JournalEntry] {
        if order.count > 2 * live.count + 16 { order.removeAll { live[$0] == nil } }
        return order.compactMap { live[$0] }
    }

    /// Writes out what is left. With nothing live the file is removed, if asked to.
    public func close(removingIfEmpty: Bool) async {
        _ = await write([])
        if removingIfEmpty, live.isEmpty { await disk.remove() }
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
        // Nothing live and nobody waiting with a new entry: the file may begin anew.
        let mayReset = live.isEmpty && batch.allSatisfy { $0.continuation == nil || $0.bytes.isEmpty }
        Task {
            let error = await disk.write(bytes, resetting: mayReset, syncing: mustSync)
            finished(batch.compactMap(\.continuation), error)
        }
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
    /// A file larger than this is begun anew as soon as nothing in it is live.
    private static let resetSize = 1 << 20

    init(file: sending JournalFile) {
        self.file = Mutex(file)
    }

    func write(_ bytes: [UInt8], resetting: Bool, syncing: Bool) async -> JournalError? {
        await onQueue { file in
            do throws(JournalError) {
                if resetting, file.size > Self.resetSize {
                    try file.truncate(to: 0)
                } else {
                    try file.append(bytes)
                }
                if syncing { try file.sync() }
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
