import NIOConcurrencyHelpers

/// The production ``TimeSource``: the continuous clock of this machine, aligned with the clock of Redis.
///
/// Every instance counts expiry on the same clock, that of Redis: replies of scripts carry the server's `TIME`, and
/// ``align(to:sentAt:)`` moves the offset. An instance whose own wall clock is an hour off therefore neither refreshes
/// early nor serves an expired token. Until the first reply the machine's own wall clock stands in.
public final class FleetClock: TimeSource {
    private let origin = ContinuousClock.now
    private let offset: NIOLockedValueBox<FleetOffset>

    /// - Parameter initialWall: the machine's wall clock now; used only until the first ``align(to:sentAt:)``.
    public init(initialWall: WallTime) {
        self.offset = NIOLockedValueBox(FleetOffset(initialWall: initialWall))
    }

    public func wall() -> WallTime {
        let now = monotonic()
        return offset.withLockedValue { $0.wall(at: now) }
    }

    public func monotonic() -> MonotonicTime {
        MonotonicTime(nanoseconds: (ContinuousClock.now - origin).wholeNanoseconds)
    }

    public func sleep(until deadline: MonotonicTime) async throws {
        try await Task.sleep(until: origin + .nanoseconds(deadline.nanoseconds), clock: .continuous)
    }

    public func instant(of time: MonotonicTime) -> ContinuousClock.Instant {
        origin + .nanoseconds(time.nanoseconds)
    }

    /// Takes over the server's time from a reply that has just arrived.
    ///
    /// - Parameter sentAt: when the request was sent; see ``FleetOffset``. Nil: just now.
    /// - Returns: how far the shared clock moved; more than a second or so means that somebody set a clock.
    @discardableResult
    public func align(to server: WallTime, sentAt: MonotonicTime? = nil) -> Duration {
        let now = monotonic()
        return offset.withLockedValue { $0.align(to: server, sentAt: sentAt ?? now, receivedAt: now) }
    }
}
