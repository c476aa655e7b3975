/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// The core never reads a clock: whoever calls it says what time it is, so a simulator can be in charge of it.
public struct MockInstant: Sendable, Hashable, Comparable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public static func < (left: MockInstant, right: MockInstant) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The instant `duration` later, to the whole millisecond; stays within range instead of overflowing.
    public func advanced(by duration: Duration) -> MockInstant {
        let (sum, overflow) = milliseconds.addingReportingOverflow(duration.wholeMilliseconds)
        guard overflow else { return MockInstant(milliseconds: sum) }
        return MockInstant(milliseconds: duration < .zero ? .min : .max)
    }

    /// Whole seconds from `earlier` to this instant, rounded down, never negative.
    func wholeSeconds(since earlier: MockInstant) -> Int64 {
        let (difference, overflow) = milliseconds.subtractingReportingOverflow(earlier.milliseconds)
        return overflow ? 0 : max(0, difference / 1000)
    }
}

extension Duration {
    /// The duration in milliseconds, rounded towards zero; clamped to what an `Int64` holds.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        return sumOverflow ? whole : sum
    }
}
