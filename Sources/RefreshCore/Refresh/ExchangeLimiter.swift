import NIOConcurrencyHelpers

/// Bounds the exchanges under way at once with each provider; the rest wait in order of arrival.
///
/// A slot is taken before BEGIN, not after: the send-by deadline runs from BEGIN, so nobody may queue behind it.
///
/// Where a provider has a circuit breaker the bound is approached with care: a few at first and after a rest, one more
/// with each answer, half as many after each failure. So a provider that is broken gets few refresh tokens before that is
/// noticed.
public final class ExchangeLimiter: Sendable {
    /// How many go at once to a provider of which nothing is known, or not of late.
    static let firstWindow = 4
    /// After so long without an answer it is as if nothing were known.
    static let knowledgeLasts = Duration.seconds(60)

    private struct Lane {
        var inUse = 0
        var queue: [CheckedContinuation<Void, Never>] = []
        var head = 0
        var limit = 1
        var isCautious = false
        var window = ExchangeLimiter.firstWindow
        var answeredAt: MonotonicTime?

        var bound: Int { isCautious ? min(limit, window) : limit }

        /// Those who may go now.
        mutating func admitted() -> [CheckedContinuation<Void, Never>] {
            var admitted: [CheckedContinuation<Void, Never>] = []
            while head < queue.count, inUse < bound {
                inUse += 1
                admitted.append(queue[head])
                head += 1
            }
            if head == queue.count {
                queue.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 1024, head * 2 > queue.count {
                queue.removeFirst(head)
                head = 0
            }
            return admitted
        }
    }

    private let lanes = NIOLockedValueBox<[ProviderName: Lane]>([:])

    public init() {}

    /// Returns when a slot is free. Each call is paired with ``release(_:)``.
    ///
    /// - Parameter isCautious: approach the limit with care; see ``noted(_:by:now:)``.
    public func acquire(
        _ provider: ProviderName, limit: Int, isCautious: Bool = false,
        now: MonotonicTime = MonotonicTime(nanoseconds: 0)
    ) async {
        await withCheckedContinuation { continuation in
            let admitted = lanes.withLockedValue { lanes in
                var lane = lanes[provider] ?? Lane()
                defer { lanes[provider] = lane }
                lane.limit = max(1, limit)
                lane.isCautious = isCautious
                if let answeredAt = lane.answeredAt, now - answeredAt > Self.knowledgeLasts {
                    lane.window = min(lane.window, Self.firstWindow)
                }
                lane.queue.append(continuation)
                return lane.admitted()
            }
            for continuation in admitted { continuation.resume() }
        }
    }

    public func release(_ provider: ProviderName) {
        let admitted: [CheckedContinuation<Void, Never>] = lanes.withLockedValue { lanes in
            guard var lane = lanes[provider], lane.inUse > 0 else { return [] }
            defer { lanes[provider] = lane }
            lane.inUse -= 1
            return lane.admitted()
        }
        for continuation in admitted { continuation.resume() }
    }

    /// What an exchange has shown of the provider.
    public func noted(_ health: ProviderHealth, by provider: ProviderName, now: MonotonicTime) {
        let admitted: [CheckedContinuation<Void, Never>] = lanes.withLockedValue { lanes in
            guard health != .unknown, var lane = lanes[provider] else { return [] }
            defer { lanes[provider] = lane }
            lane.answeredAt = now
            lane.window = health == .failing ? max(1, lane.window / 2) : min(lane.limit, lane.window + 1)
            return lane.admitted()
        }
        for continuation in admitted { continuation.resume() }
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
