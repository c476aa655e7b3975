import CoreMetrics

/// What this instance's picks came to since it started, as metrics. Pools, tiers and outcomes are words of the configuration
/// and of the code.
///
/// | name | labels | |
/// |---|---|---|
/// | `perennial_pool_picks_total` | `pool`, `tier` | accounts handed out |
/// | `perennial_pool_failures_total` | `pool`, `reason` | requests that got none: `pool_exhausted`, `store_unavailable` |
/// | `perennial_pool_fallbacks_total` | `pool` | those of them that got the token of last resort |
/// | `perennial_pool_reports_total` | `pool`, `outcome` | what callers told of their calls |
final class PoolMetrics: Sendable {
    private let picks: CounterFamily
    private let failures: CounterFamily
    private let fallbacks: CounterFamily
    private let reports: CounterFamily

    init(_ factory: any MetricsFactory) {
        picks = CounterFamily("perennial_pool_picks_total", ["pool", "tier"], factory: factory)
        failures = CounterFamily("perennial_pool_failures_total", ["pool", "reason"], factory: factory)
        fallbacks = CounterFamily("perennial_pool_fallbacks_total", ["pool"], factory: factory)
        reports = CounterFamily("perennial_pool_reports_total", ["pool", "outcome"], factory: factory)
    }

    func picked(_ pick: PoolPick) { picks.increment(pick.pool.rawValue, pick.tier.rawValue) }

    func failed(_ pool: PoolName, _ failure: PoolFailure) { failures.increment(pool.rawValue, failure.kind.rawValue) }

    func fellBack(_ pool: PoolName) { fallbacks.increment(pool.rawValue) }

    func reported(_ report: PoolReport) { reports.increment(report.pool.rawValue, report.outcome.rawValue) }
}
