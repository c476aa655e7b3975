import DequeModule
import NIOConcurrencyHelpers

/// The events one subscriber has not read yet.
///
/// Bounded: where a slow reader would make it grow, everything unread is dropped and replaced by `disconnected` and
/// `subscribed` again, so the reader knows that it missed something.
final class SubscriptionBuffer: Sendable {
    private struct State {
        var events: Deque<RedisSubscriptionEvent> = []
        var payloadBytes = 0
        var waiter: CheckedContinuation<RedisSubscriptionEvent?, Never>?
        /// Confirmed channels, as far as events have been put into the buffer.
        var established: Set<String> = []
        var isFinished = false
    }

    let id: Int
    let channels: [String]
    private let maxEvents: Int
    private let maxBytes: Int
    private let state = NIOLockedValueBox(State())

    init(id: Int, channels: [String], maxEvents: Int, maxBytes: Int) {
        self.id = id
        self.channels = channels
        // The replacement of an overflow must fit.
        self.maxEvents = max(maxEvents, channels.count + 2)
        self.maxBytes = maxBytes
    }

    func subscribed(_ channel: String) {
        put { state in
            state.established.insert(channel)
            return .subscribed(channel: channel)
        }
    }

    func disconnected() {
        put { state in
            guard !state.established.isEmpty else { return nil }
            state.established = []
            return .disconnected
        }
    }

    func message(_ payload: [UInt8], on channel: String) {
        put { state in
            guard state.established.contains(channel) else { return nil }
            return .message(channel: channel, payload: payload)
        }
    }

    /// The sequence ends after what is unread.
    func finish() {
        let waiter = state.withLockedValue { state in
            state.isFinished = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    private func put(_ make: (inout State) -> RedisSubscriptionEvent?) {
        let resume = state.withLockedValue { state -> (() -> Void)? in
            guard !state.isFinished, let event = make(&state) else { return nil }
            if let waiter = state.waiter {
                state.waiter = nil
                return { waiter.resume(returning: event) }
            }
            state.events.append(event)
            state.payloadBytes += Self.size(of: event)
            if state.events.count > maxEvents || state.payloadBytes > maxBytes {
                state.events = [.disconnected]
                state.events.append(contentsOf: state.established.sorted().map { .subscribed(channel: $0) })
                state.payloadBytes = 0
            }
            return nil
        }
        resume?()
    }

    private static func size(of event: RedisSubscriptionEvent) -> Int {
        if case .message(_, let payload) = event { return payload.count }
        return 0
    }

    /// The next event; nil at the end, or when the calling task is cancelled, or when another task waits already.
    func next() async -> RedisSubscriptionEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLockedValue { state -> RedisSubscriptionEvent?? in
                    if let event = state.events.popFirst() {
                        state.payloadBytes -= Self.size(of: event)
                        return .some(event)
                    }
                    if state.isFinished || state.waiter != nil || Task.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            let waiter = state.withLockedValue { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }
}
