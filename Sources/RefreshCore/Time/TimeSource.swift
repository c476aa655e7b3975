/// A point on this process's monotonic clock, in nanoseconds from an arbitrary origin.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static func < (lhs: MonotonicTime, rhs: MonotonicTime) -> Bool { lhs.nanoseconds < rhs.nanoseconds }

    public static func + (lhs: MonotonicTime, rhs: Duration) -> MonotonicTime {
        MonotonicTime(nanoseconds: lhs.nanoseconds &+ rhs.wholeNanoseconds)
    }

    public static func - (lhs: MonotonicTime, rhs: MonotonicTime) -> Duration {
        .nanoseconds(lhs.nanoseconds &- rhs.nanoseconds)
    }
}

extension Duration {
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min / 4 : .max / 4 }
        return product &+ attoseconds / 1_000_000_000
    }
}

/// Where the core gets its time from: production clocks, a manual clock in tests, the simulator's clock.
public protocol TimeSource: Sendable {
    /// The fleet's wall clock: what expiry and due times are compared with.
    func wall() -> WallTime
    /// This process's monotonic clock: what deadlines, leases and ages are measured with.
    func monotonic() -> MonotonicTime
    /// Suspends until the monotonic clock has reached `deadline`.
    ///
    /// - Throws: `CancellationError` when the task is cancelled first.
    func sleep(until deadline: MonotonicTime) async throws
    /// The machine's continuous clock at `time`, for libraries that take their deadlines on it. Absolute, so that a
    /// process stopped between computing a deadline and handing it over does not move the deadline.
    func instant(of time: MonotonicTime) -> ContinuousClock.Instant
}

extension TimeSource {
    public func instant(of time: MonotonicTime) -> ContinuousClock.Instant {
        ContinuousClock.now + (time - monotonic())
    }

    public func sleep(for duration: Duration) async throws {
        try await sleep(until: monotonic() + duration)
    }
}
