import NIOConcurrencyHelpers

/// Counts of what this instance's refreshes came to since it started.
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

    public init() {}

    public func snapshot() -> Counts { counts.withLockedValue { $0 } }

    func exchangeStarted(isRecovery: Bool) {
        counts.withLockedValue {
            $0.exchanges += 1
            if isRecovery { $0.recoveryExchanges += 1 }
        }
    }

    func committed(_ reply: CommitReply, isRecovery: Bool) {
        counts.withLockedValue {
            switch reply.outcome {
            case .orphaned: $0.orphaned += 1
            case .behind: break
            default: $0.refreshed += 1
            }
        }
    }

    func failed(_ kind: RefreshFault.Kind) {
        counts.withLockedValue { $0.failures[kind.rawValue, default: 0] += 1 }
    }

    func servedStale() {
        counts.withLockedValue { $0.staleServed += 1 }
    }
}
