import NIOConcurrencyHelpers

/// The production ``TimeSource``: the continuous clock of this machine, aligned with the clock of Redis.
///
/// Every instance counts expiry on the same clock, that of Redis: replies of scripts carry the server's `TIME`, and
/// ``align(to:)`` moves the offset. An instance whose own wall clock is an hour off therefore neither refreshes
/// early nor serves an expired token. Until the first reply the machine's own wall clock stands in.
public final class FleetClock: TimeSource {
    private let origin = ContinuousClock.now
    private let offset: NIOLockedValueBox<Int64>

    /// - Parameter initialWall: the machine's wall clock now; used only until the first ``align(to:)``.
    public init(initialWall: WallTime) {
        self.offset = NIOLockedValueBox(initialWall.milliseconds)
    }

    public func wall() -> WallTime {
        let elapsed = monotonic().nanoseconds / 1_000_000
        return WallTime(milliseconds: offset.withLockedValue { $0 } + elapsed)
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

    /// Takes over the server's time as of a reply that has just arrived.
    ///
    /// - Returns: how far the shared clock moved; more than a second or so means that somebody set a clock.
    @discardableResult
    public func align(to server: WallTime) -> Duration {
        let elapsed = monotonic().nanoseconds / 1_000_000
        return offset.withLockedValue { offset in
            let before = offset
            offset = server.milliseconds - elapsed
            return .milliseconds(offset - before)
        }
    }
}
