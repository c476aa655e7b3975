/// How the clock of Redis runs beside this process's monotonic clock: the arithmetic of ``FleetClock``.
///
/// The server read its clock at some moment between the sending of a request and the reading of its reply, so each
/// reply bounds the offset from both sides, and no more is taken from it than that. A process that was stopped with a
/// reply in its socket reads a time that is as old as the stop was long; had it taken that for the present, it would
/// hand out expired tokens as good (I5).
public struct FleetOffset: Sendable, Hashable {
    /// The server's time at monotonic zero.
    private var milliseconds: Int64

    public init(initialWall: WallTime) {
        self.milliseconds = initialWall.milliseconds
    }

    public func wall(at now: MonotonicTime) -> WallTime {
        WallTime(milliseconds: milliseconds &+ now.nanoseconds / 1_000_000)
    }

    /// Returns how far the clock moved.
    @discardableResult
    public mutating func align(
        to server: WallTime, sentAt: MonotonicTime, receivedAt: MonotonicTime
    ) -> Duration {
        let latest = server.milliseconds &- sentAt.nanoseconds / 1_000_000
        let earliest = server.milliseconds &- receivedAt.nanoseconds / 1_000_000
        let before = milliseconds
        // Outside of the bounds the late end is taken: a clock that is ahead refreshes early, one that is behind serves
        // what has expired.
        if milliseconds < earliest || milliseconds > latest { milliseconds = latest }
        return .milliseconds(milliseconds &- before)
    }
}
