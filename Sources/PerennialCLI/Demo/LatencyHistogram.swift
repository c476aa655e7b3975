/// Counts times in buckets that are at most a sixteenth wide, from a microsecond to over an hour, in constant memory.
struct LatencyHistogram: Sendable, Equatable {
    /// Each power of two is divided into this many buckets.
    private static let steps = 16
    private static let powers = 33

    private var counts = [Int](repeating: 0, count: steps * powers)
    private(set) var count = 0
    private(set) var maximum = Duration.zero

    mutating func record(_ duration: Duration) {
        counts[Self.bucket(Self.microseconds(duration))] += 1
        count += 1
        maximum = max(maximum, duration)
    }

    /// The time that this share (0…1) of the records did not exceed: the upper edge of its bucket, never more than the
    /// maximum. Nil without records.
    func percentile(_ share: Double) -> Duration? {
        guard count > 0 else { return nil }
        let rank = min(max(Int((share * Double(count)).rounded(.up)), 1), count)
        var seen = 0
        for (index, number) in counts.enumerated() {
            seen += number
            if seen >= rank { return min(.microseconds(Self.upperEdge(index)), maximum) }
        }
        return maximum
    }

    private static func microseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let ceiling: Int64 = 1 << 32
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < ceiling / 1_000_000 else { return ceiling }
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    /// The first `steps` values have a bucket each; above, the leading bit chooses the power and the next four the step.
    private static func bucket(_ value: Int64) -> Int {
        guard value >= Int64(steps) else { return Int(max(value, 0)) }
        let power = 63 - value.leadingZeroBitCount
        let step = Int(value >> Int64(power - 4)) - steps
        return min((power - 3) * steps + step, steps * powers - 1)
    }

    private static func upperEdge(_ index: Int) -> Int64 {
        guard index >= steps else { return Int64(index) }
        let power = index / steps + 3
        let step = Int64(index % steps + steps)
        return ((step + 1) << Int64(power - 4)) - 1
    }
}
