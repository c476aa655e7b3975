public import CoreMetrics
import NIOConcurrencyHelpers

/// A backend of swift-metrics that keeps all metrics in memory, for Prometheus to scrape as ``text()``.
///
/// Metrics of the same name and dimensions are one series. Counters become counters; meters and recorders that do not
/// aggregate become gauges; timers and aggregating recorders become histograms, timers in seconds.
public final class PrometheusRegistry: MetricsFactory {
    /// Of histograms in seconds: from a millisecond to a minute.
    public static let defaultBuckets: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private struct State {
        var families: [String: MetricFamily] = [:]
        /// Metrics that were asked for and are not kept.
        var dropped = 0
    }

    private let state = NIOLockedValueBox(State())
    private let buckets: [Double]
    private let mostSeries: Int

    /// - Parameters:
    ///   - buckets: the upper bounds of histograms, rising; the last one, infinity, is not to be named.
    ///   - mostSeries: of one name. What is beyond is counted in `perennial_metrics_dropped_total` and kept nowhere: a label
    ///     without bounds must not fill the memory.
    public init(buckets: [Double] = PrometheusRegistry.defaultBuckets, mostSeries: Int = 2000) {
        self.buckets = buckets
        self.mostSeries = mostSeries
    }

    /// All metrics in Prometheus's text format 0.0.4, sorted by name and labels.
    ///
    /// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
    public func text() -> [UInt8] {
        let (families, dropped) = state.withLockedValue { ($0.families, $0.dropped) }
        var text = ExpositionText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) { text.append(name, family) }
        text.appendCounter("perennial_metrics_dropped_total", dropped)
        return text.bytes
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter, as: CounterSeries.self) { CounterSeries() }
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter, as: CounterSeries.self) { CounterSeries() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge, as: GaugeSeries.self) { GaugeSeries() }
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        if aggregate {
            series(label, dimensions, .histogram, as: HistogramSeries.self) { [buckets] in HistogramSeries(buckets) }
        } else {
            series(label, dimensions, .gauge, as: GaugeSeries.self) { GaugeSeries() }
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .histogram, as: HistogramSeries.self) { [buckets] in HistogramSeries(buckets) }
    }

    public func destroyCounter(_ handler: any CounterHandler) { forget(handler) }

    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { forget(handler) }

    public func destroyMeter(_ handler: any MeterHandler) { forget(handler) }

    public func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }

    public func destroyTimer(_ handler: any TimerHandler) { forget(handler) }

    // MARK: Series

    private func series<Kept: Series>(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricKind, as type: Kept.Type,
        _ make: () -> Kept
    ) -> Kept {
        let name = MetricName.metric(label)
        let labels = LabelSet(dimensions)
        return state.withLockedValue { state in
            var family = state.families[name] ?? MetricFamily(kind: kind)
            if let known = family.series[labels] as? Kept, family.kind == kind { return known }
            let new = make()
            guard family.kind == kind, family.series[labels] == nil, family.series.count < mostSeries else {
                state.dropped += 1
                return new
            }
            family.series[labels] = new
            state.families[name] = family
            return new
        }
    }

    private func forget(_ handler: AnyObject) {
        state.withLockedValue { state in
            for (name, var family) in state.families {
                guard let labels = family.series.first(where: { $0.value === handler })?.key else { continue }
                family.series[labels] = nil
                state.families[name] = family.series.isEmpty ? nil : family
                return
            }
        }
    }
}
