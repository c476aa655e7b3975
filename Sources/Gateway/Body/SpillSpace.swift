import Logging
import NIOConcurrencyHelpers
import RefreshCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The room on the disk that all bodies of requests share. Whoever can send requests could otherwise fill the disk, and what
/// has to be durable (the journal) could be written no more.
final class SpillSpace: Sendable {
    private static let warningInterval = Duration.seconds(60)

    private struct State {
        var taken: Int64 = 0
        var warnedAt: MonotonicTime?
    }

    let directory: String
    private let most: Int64
    private let keepsFree: Int64
    private let time: any TimeSource
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    init(_ settings: SpillSettings, directory: String, time: any TimeSource, logger: Logger) {
        self.directory = directory
        most = settings.most
        keepsFree = settings.keepsFree
        self.time = time
        self.logger = logger
    }

    /// Of all files, in bytes.
    var taken: Int64 { state.withLockedValue { $0.taken } }

    /// Takes room before it is written to.
    ///
    /// - Throws: ``SpillFile/Failure`` where there is none.
    func take(_ count: Int) throws(SpillFile.Failure) {
        let isFree = state.withLockedValue { state in
            guard state.taken + Int64(count) <= most else { return false }
            state.taken += Int64(count)
            return true
        }
        guard isFree else {
            throw SpillFile.Failure(description: "the bodies of all requests have taken gateway.spill_max already")
        }
        do {
            try checkFreeSpace(count)
        } catch {
            giveBack(Int64(count))
            throw error
        }
    }

    func giveBack(_ count: Int64) {
        state.withLockedValue { $0.taken -= count }
    }

    private func checkFreeSpace(_ count: Int) throws(SpillFile.Failure) {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else {
            throw SpillFile.Failure("the space left cannot be told")
        }
        let (free, overflow) = Int64(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int64(clamping: status.f_frsize))
        guard overflow || free - Int64(count) >= keepsFree else {
            throw SpillFile.Failure(description: "no more than gateway.spill_keep_free is free")
        }
    }

    /// A body could not be kept: it is sent on as it comes, and not a second time.
    func failed(_ failure: any Error) {
        let now = time.monotonic()
        let isTime = state.withLockedValue { state in
            if let last = state.warnedAt, now - last < Self.warningInterval { return false }
            state.warnedAt = now
            return true
        }
        guard isTime else { return }
        logger.warning(
            "bodies of requests are not kept for another try: \(failure)", metadata: ["directory": "\(directory)"])
    }
}
