import DequeModule
import NIOCore

/// The replies that one connection still owes, in order, as a pure state machine: it is told what happened and when,
/// and answers with what to do.
///
/// A caller that gave up (deadline, cancellation) leaves its place behind; the reply that arrives later fills that
/// place and is dropped. So the order of replies is never in doubt.
struct ReplyQueue<Waiter> {
    struct Limits: Sendable {
        /// No byte for this long while a reply is owed: the connection is dead.
        var stallTimeout: TimeAmount
        /// No byte for this long while nothing is owed: ask PING.
        var pingInterval: TimeAmount
    }

    enum Received {
        /// The last reply of a call arrived: hand it over. Nil: its caller has given up.
        case complete(Waiter?, RESPValue)
        /// A reply in the middle of a pipeline.
        case more
        /// A reply nobody asked for.
        case unexpected
    }

    struct Tick {
        /// Callers whose deadline has passed; their places stay.
        var expired: [Waiter] = []
        /// The connection is dead and is to be closed.
        var stalled = false
        /// Nothing is owed and nothing came for a while: send a PING (and `sent` it without a waiter).
        var ping = false
        /// When to look again.
        var next: NIODeadline = .distantFuture
    }

    private struct Entry {
        var waiter: Waiter?
        var remaining: Int
        var isPipeline: Bool
        var collected: [RESPValue] = []
        let sentAt: NIODeadline
        let timeout: TimeAmount
        var deadline: NIODeadline { sentAt + timeout }
    }

    private let limits: Limits
    private var entries: Deque<Entry> = []
    private var lastByteAt: NIODeadline

    init(limits: Limits, now: NIODeadline) {
        self.limits = limits
        lastByteAt = now
    }

    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// A call has been written. `replies` is nil for a single command, else the number of commands of a pipeline,
    /// whose replies are handed over together as one array.
    ///
    /// - Returns: The deadline of the call, by which `tick` must run.
    mutating func sent(_ waiter: Waiter?, pipelineOf replies: Int?, at now: NIODeadline, timeout: TimeAmount)
        -> NIODeadline
    {
        let entry = Entry(
            waiter: waiter, remaining: replies ?? 1, isPipeline: replies != nil, sentAt: now, timeout: timeout)
        entries.append(entry)
        return entry.deadline
    }

    mutating func bytesReceived(at now: NIODeadline) {
        lastByteAt = now
    }

    mutating func received(_ value: RESPValue) -> Received {
        guard !entries.isEmpty else { return .unexpected }
        guard entries[0].isPipeline else {
            return .complete(entries.removeFirst().waiter, value)
        }
        entries[0].remaining -= 1
        if entries[0].waiter != nil { entries[0].collected.append(value) }
        guard entries[0].remaining == 0 else { return .more }
        let entry = entries.removeFirst()
        return .complete(entry.waiter, .array(entry.collected))
    }

    mutating func tick(at now: NIODeadline) -> Tick {
        var tick = Tick()
        guard let head = entries.first else {
            let pingAt = lastByteAt + limits.pingInterval
            tick.ping = pingAt <= now
            tick.next = tick.ping ? now + limits.stallTimeout : pingAt
            return tick
        }
        for index in entries.indices {
            guard let waiter = entries[index].waiter else { continue }
            if entries[index].deadline <= now {
                tick.expired.append(waiter)
                entries[index].waiter = nil
                entries[index].collected = []
            } else {
                tick.next = min(tick.next, entries[index].deadline)
            }
        }
        // A short deadline of one call says nothing about the connection; a peer that drips bytes for ever does.
        let patience = max(head.timeout, limits.stallTimeout)
        let stallAt = min(max(lastByteAt, head.sentAt) + patience, head.sentAt + 3 * patience)
        tick.stalled = stallAt <= now
        tick.next = min(tick.next, stallAt)
        return tick
    }

    /// An error among the replies of an unfinished pipeline: servers that turn a client away say why, then close.
    var partialError: RedisServerError? {
        entries.first?.collected.lazy.compactMap(\.serverError).first
    }

    /// The connection has ended: everybody who still waits.
    mutating func drain() -> [Waiter] {
        defer { entries = [] }
        return entries.compactMap(\.waiter)
    }
}
