public import CoreMetrics
import NIOConcurrencyHelpers

/// Counts of what this instance's refreshes came to since it started; as metrics too:
///
/// | name | labels | |
/// |---|---|---|
/// | `perennial_refresh_attempts_total` | `provider`, `outcome` | `refreshed`, `orphaned`, or why nothing came of it |
/// | `perennial_stale_served_total` | | tokens served that were about to end, for no newer one could be had |
public final class RefreshStatistics: Sendable {
    public struct Counts: Sendable, Hashable, Codable {
        public var exchanges = 0
        public var recoveryExchanges = 0
        public var refreshed = 0
        public var orphaned = 0
        public var failures: [String: Int] = [:]
        public var staleServed = 0

        public init() {}
    }

    private let counts = NIOLockedValueBox(Counts())
    private let attempts: CounterFamily
    private let stale: Counter

    public init(metrics: any MetricsFactory = NOOPMetricsHandler.instance) {
        attempts = CounterFamily("perennial_refresh_attempts_total", ["provider", "outcome"], factory: metrics)
        stale = Counter(label: "perennial_stale_served_total", factory: metrics)
    }

    public func snapshot() -> Counts { counts.withLockedValue { $0 } }

    func exchangeStarted(isRecovery: Bool) {
        counts.withLockedValue {
            $0.exchanges += 1
            if isRecovery { $0.recoveryExchanges += 1 }
        }
    }

    func committed(_ reply: CommitReply, by provider: ProviderName) {
        switch reply.outcome {
        case .behind: return
        case .orphaned:
            counts.withLockedValue { $0.orphaned += 1 }
            attempts.increment(provider.rawValue, "orphaned")
        default:
            counts.withLockedValue { $0.refreshed += 1 }
            attempts.increment(provider.rawValue, "refreshed")
        }
    }

    func failed(_ kind: RefreshFault.Kind, at provider: ProviderName) {
        attempts.increment(provider.rawValue, kind.rawValue)
        counts.withLockedValue { $0.failures[kind.rawValue, default: 0] += 1 }
    }

    func servedStale() {
        stale.increment()
        counts.withLockedValue { $0.staleServed += 1 }
    }
}
