import CoreMetrics
import NIOConcurrencyHelpers

/// One series: a metric with its labels.
protocol Series: AnyObject, Sendable {}

final class CounterSeries: Series, CounterHandler, FloatingPointCounterHandler {
    private let total = NIOLockedValueBox(0.0)

    var value: Double { total.withLockedValue { $0 } }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    /// A counter never falls: what is below zero, or no number, changes nothing.
    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        total.withLockedValue { $0 += amount }
    }

    func reset() { total.withLockedValue { $0 = 0 } }
}

final class GaugeSeries: Series, MeterHandler, RecorderHandler {
    private let current = NIOLockedValueBox(0.0)

    var value: Double { current.withLockedValue { $0 } }

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) { current.withLockedValue { $0 = value } }

    func increment(by amount: Double) { current.withLockedValue { $0 += amount } }

    func decrement(by amount: Double) { current.withLockedValue { $0 -= amount } }

    func record(_ value: Int64) { set(Double(value)) }

    func record(_ value: Double) { set(value) }
}

final class HistogramSeries: Series, TimerHandler, RecorderHandler {
    struct Counts: Sendable {
        /// What fell into each bucket, not into those before it; the last one has no upper bound.
        var buckets: [Int]
        var sum = 0.0
    }

    let bounds: [Double]
    private let counts: NIOLockedValueBox<Counts>

    init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = NIOLockedValueBox(Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    var snapshot: Counts { counts.withLockedValue { $0 } }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts.withLockedValue { counts in
            counts.buckets[bucket] += 1
            counts.sum += value
        }
    }
}
