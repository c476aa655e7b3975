public import CoreMetrics
import NIOConcurrencyHelpers

/// Counters of one name that differ in their dimensions; each is made when it is first needed, and kept.
///
/// The values of dimensions have to come from the configuration or from the code, never from a request: each one is a series
/// that is kept for as long as the process lives.
public final class CounterFamily: Sendable {
    private let label: String
    private let dimensions: [String]
    private let factory: any MetricsFactory
    private let counters = NIOLockedValueBox<[[String]: Counter]>([:])

    public init(_ label: String, _ dimensions: [String], factory: any MetricsFactory) {
        self.label = label
        self.dimensions = dimensions
        self.factory = factory
    }

    /// - Parameter values: one for each dimension, in their order.
    public func increment(_ values: String...) {
        let counter = counters.withLockedValue { counters in
            if let known = counters[values] { return known }
            let new = Counter(label: label, dimensions: Array(zip(dimensions, values)), factory: factory)
            counters[values] = new
            return new
        }
        counter.increment()
    }
}
