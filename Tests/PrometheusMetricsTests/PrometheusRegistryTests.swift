import Metrics
import PrometheusMetrics
import Testing

struct PrometheusRegistryTests {
    private let registry = PrometheusRegistry(buckets: [0.1, 1], mostSeries: 3)

    private var text: String { String(decoding: registry.text(), as: UTF8.self) }

    @Test func everyKindIsWrittenAsPrometheusReadsIt() {
        Counter(label: "calls_total", dimensions: [("route", "b"), ("code", "200")], factory: registry).increment(by: 2)
        Counter(label: "calls_total", dimensions: [("code", "200"), ("route", "b")], factory: registry).increment()
        Counter(label: "calls_total", dimensions: [("route", "a"), ("code", "200")], factory: registry).increment()
        let meter = Meter(label: "open", factory: registry)
        meter.increment(by: 2)
        meter.decrement()
        Gauge(label: "load", factory: registry).record(0.25)
        let timer = Timer(label: "took_seconds", factory: registry)
        timer.recordMilliseconds(100)
        timer.recordMilliseconds(500)
        timer.recordSeconds(3)
        #expect(
            text == """
                # TYPE calls_total counter
                calls_total{code="200",route="a"} 1
                calls_total{code="200",route="b"} 3
                # TYPE load gauge
                load 0.25
                # TYPE open gauge
                open 1
                # TYPE took_seconds histogram
                took_seconds_bucket{le="0.1"} 1
                took_seconds_bucket{le="1"} 2
                took_seconds_bucket{le="+Inf"} 3
                took_seconds_sum 3.6
                took_seconds_count 3
                # TYPE perennial_metrics_dropped_total counter
                perennial_metrics_dropped_total 0

                """)
    }

    @Test func namesAndValuesCannotBreakTheFormat() {
        Counter(label: "1 odd-name", dimensions: [("a-b", "\"x\\\n")], factory: registry).increment()
        #expect(text.contains("_1_odd_name{a_b=\"\\\"x\\\\\\n\"} 1\n"))
    }

    @Test func labelsWithoutBoundsFillNoMemory() {
        for number in 0..<10 {
            Counter(label: "calls_total", dimensions: [("path", "\(number)")], factory: registry).increment()
        }
        #expect(text.components("calls_total{") == 3)
        #expect(text.hasSuffix("perennial_metrics_dropped_total 7\n"))
    }

    /// A name has one kind: the second one is not kept, and disturbs nothing.
    @Test func aNameHasOneKind() {
        Counter(label: "calls", factory: registry).increment()
        Meter(label: "calls", factory: registry).set(5.0)
        #expect(text.contains("# TYPE calls counter\ncalls 1\n"))
        #expect(text.hasSuffix("perennial_metrics_dropped_total 1\n"))
    }

    @Test func whatIsDestroyedIsGone() {
        let counter = Counter(label: "calls", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(!text.contains("calls 1"))
    }

    @Test func aCounterNeverFalls() {
        let counter = FloatingPointCounter(label: "seconds_total", factory: registry)
        counter.increment(by: 1.5)
        counter.increment(by: -1)
        counter.increment(by: Double.nan)
        #expect(text.contains("seconds_total 1.5\n"))
    }
}

extension String {
    /// How often the part stands in it.
    fileprivate func components(_ part: String) -> Int {
        var (count, rest) = (0, self[...])
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
