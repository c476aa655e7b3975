/// A point in time as milliseconds since 1970-01-01T00:00:00Z, on the clock the fleet shares (Redis `TIME`).
///
/// The core never reads a clock: wall time is always an argument or comes from a ``TimeSource``.
public struct WallTime: Sendable, Hashable, Comparable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public init(seconds: Double) {
        // Clamped to the years ±146,000,000, so that no configured or received number can trap.
        let clamped = seconds.isFinite ? min(max(seconds, -4.6e15), 4.6e15) : 0
        self.milliseconds = Int64(clamped * 1000)
    }

    public static func < (lhs: WallTime, rhs: WallTime) -> Bool { lhs.milliseconds < rhs.milliseconds }

    public static func + (lhs: WallTime, rhs: Duration) -> WallTime {
        WallTime(milliseconds: lhs.milliseconds &+ rhs.wholeMilliseconds)
    }

    public static func - (lhs: WallTime, rhs: Duration) -> WallTime {
        WallTime(milliseconds: lhs.milliseconds &- rhs.wholeMilliseconds)
    }

    public static func - (lhs: WallTime, rhs: WallTime) -> Duration {
        .milliseconds(lhs.milliseconds &- rhs.milliseconds)
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero; saturates instead of trapping.
    public var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return seconds < 0 ? .min / 4 : .max / 4 }
        return product &+ attoseconds / 1_000_000_000_000_000
    }

    /// Seconds as a floating point number.
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
