import NIOConcurrencyHelpers
import RedisClient
import RefreshCore

/// Remembers that Redis was found away or refusing, until somebody has made sure that it takes writes again.
///
/// Only failures are noted, so that what works costs nothing. On a Cluster each partition may be away by itself.
public final class OutageWatch: Sendable {
    /// What is away, since when, and what was said first.
    public struct Outage: Sendable, Hashable {
        public var since: MonotonicTime
        public var reason: String
        public var partitions: Set<Int>
    }

    private let state = NIOLockedValueBox<Outage?>(nil)
    private let wakeup = Wakeup()

    public init() {}

    /// Nil while nothing is known to be away.
    public var current: Outage? { state.withLockedValue { $0 } }

    func failed(_ error: StoreError, key: String?, now: MonotonicTime) {
        switch error.code {
        case .unavailable, .refused, .outcomeUnknown: break
        case .cancelled, .corrupt, .sealing: return
        }
        let isNew = state.withLockedValue { outage in
            let isNew = outage == nil
            var current = outage ?? Outage(since: now, reason: error.message, partitions: [])
            current.partitions.insert(Self.partition(of: key))
            outage = current
            return isNew
        }
        if isNew { wakeup.fire() }
    }

    /// All of it is back.
    public func isOver() { state.withLockedValue { $0 = nil } }

    /// May be back: ends ``wait(until:time:)``.
    public func mayBeBack() { wakeup.fire() }

    /// Returns when something is away that was not, or may be back, at `deadline`, or when the task is cancelled.
    public func wait(until deadline: MonotonicTime, time: any TimeSource) async {
        await wakeup.wait(until: deadline, time: time)
    }

    /// That of the hash tag; keys of the fleet go with the first.
    static func partition(of key: String?) -> Int {
        guard let key, let open = key.firstIndex(of: "{"), let close = key[open...].firstIndex(of: "}") else {
            return 0
        }
        return Int(key[open..<close].dropFirst()) ?? 0
    }
}

extension RedisLink {
    /// Whether a partition takes writes: writes a time that nobody reads.
    public func takesWrites(_ partition: Int) async -> Bool {
        let key = keys.pauses(partition)
        let isBack = try? await send(
            RedisCommand("HSET", key, ":back", clock.wall().milliseconds), key: key)
        return isBack != nil
    }
}
