import NIOConcurrencyHelpers

/// Bounds the exchanges under way at once with each provider; the rest wait in order of arrival.
///
/// A slot is taken before BEGIN, not after: the send-by deadline runs from BEGIN, so nobody may queue behind it.
public final class ExchangeLimiter: Sendable {
    private struct Lane {
        var inUse = 0
        var queue: [CheckedContinuation<Void, Never>] = []
        var head = 0
    }

    private let lanes = NIOLockedValueBox<[ProviderName: Lane]>([:])

    public init() {}

    /// Returns when a slot is free. Each call is paired with ``release(_:)``.
    public func acquire(_ provider: ProviderName, limit: Int) async {
        await withCheckedContinuation { continuation in
            let isFree = lanes.withLockedValue { lanes in
                var lane = lanes[provider] ?? Lane()
                defer { lanes[provider] = lane }
                if lane.inUse < max(1, limit) {
                    lane.inUse += 1
                    return true
                }
                lane.queue.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    public func release(_ provider: ProviderName) {
        let next: CheckedContinuation<Void, Never>? = lanes.withLockedValue { lanes in
            guard var lane = lanes[provider] else { return nil }
            defer { lanes[provider] = lane }
            if lane.head < lane.queue.count {
                let next = lane.queue[lane.head]
                lane.head += 1
                if lane.head > 1024, lane.head * 2 > lane.queue.count {
                    lane.queue.removeFirst(lane.head)
                    lane.head = 0
                }
                return next
            }
            lane.queue.removeAll(keepingCapacity: true)
            lane.head = 0
            lane.inUse -= 1
            return nil
        }
        next?.resume()
    }

    /// Exchanges under way, for `GET /v1/instances` and the scheduler.
    public func inUse(_ provider: ProviderName) -> Int {
        lanes.withLockedValue { $0[provider]?.inUse ?? 0 }
    }

    /// Those who wait for a slot.
    public func waiting(_ provider: ProviderName) -> Int {
        lanes.withLockedValue { lanes in lanes[provider].map { $0.queue.count - $0.head } ?? 0 }
    }
}
