import Metrics
import NIOConcurrencyHelpers
import RefreshCore

/// What this instance's calls came to since it started, as metrics: never an account, a path or anything else of a request.
///
/// | name | labels | |
/// |---|---|---|
/// | `perennial_gateway_requests_total` | `route`, `code` | answers, own ones included; `unknown` is the route of calls to none |
/// | `perennial_gateway_duration_seconds` | `route` | from the request's head to the answer's |
/// | `perennial_gateway_retries_total` | `route` | tries after the first one of a call |
/// | `perennial_gateway_verdicts_total` | `route`, `verdict` | the words of `Perennial-Attempts` |
/// | `perennial_gateway_abandoned_total` | `route` | callers that left before they had the whole answer |
/// | `perennial_gateway_cut_total` | `route` | answers that their upstream ended too early |
/// | `perennial_gateway_calls` | | calls under way |
final class GatewayMetrics: Sendable {
    private let requests: CounterFamily
    private let retries: CounterFamily
    private let verdicts: CounterFamily
    private let departures: CounterFamily
    private let cuts: CounterFamily
    private let calls: Meter
    private let factory: any MetricsFactory
    private let durations = NIOLockedValueBox<[String: Timer]>([:])

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        requests = CounterFamily("perennial_gateway_requests_total", ["route", "code"], factory: factory)
        retries = CounterFamily("perennial_gateway_retries_total", ["route"], factory: factory)
        verdicts = CounterFamily("perennial_gateway_verdicts_total", ["route", "verdict"], factory: factory)
        departures = CounterFamily("perennial_gateway_abandoned_total", ["route"], factory: factory)
        cuts = CounterFamily("perennial_gateway_cut_total", ["route"], factory: factory)
        calls = Meter(label: "perennial_gateway_calls", factory: factory)
    }

    func began() { calls.increment() }

    func ended() { calls.decrement() }

    /// - Parameter duration: nil where nobody knows when the request came.
    func answered(_ route: String, status: Int, _ log: AttemptLog, after duration: Duration?) {
        requests.increment(route, String(status))
        for _ in 1..<max(1, log.tries) { retries.increment(route) }
        for word in log.words { verdicts.increment(route, word.rawValue) }
        guard let duration else { return }
        let timer = durations.withLockedValue { durations in
            if let known = durations[route] { return known }
            let new = Timer(
                label: "perennial_gateway_duration_seconds", dimensions: [("route", route)], factory: factory)
            durations[route] = new
            return new
        }
        timer.record(duration: duration)
    }

    func abandoned(_ route: String) { departures.increment(route) }

    func cut(_ route: String) { cuts.increment(route) }
}
