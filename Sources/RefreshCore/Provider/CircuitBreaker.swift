/// When a provider counts as broken, and for how long nobody asks it then.
///
/// An answer of 5xx leaves a refresh token of single use in doubt. A provider that gives nothing else is left alone, so
/// that it puts no more accounts in doubt: after ``failures`` failures in a row, over all accounts and instances, it is
/// paused for everybody; when the pause ends one refresh goes first and decides whether the others follow.
public struct CircuitBreaker: Sendable, Hashable {
    /// Failures in a row that open it; at least 1.
    public var failures: Int
    /// The longest pause.
    public var cap: Duration

    public init(failures: Int = 5, cap: Duration = .seconds(300)) {
        self.failures = max(1, failures)
        self.cap = max(cap, .seconds(1))
    }

    /// What the first pause is up to; each further one up to twice as long.
    public var base: Duration { min(.seconds(10), cap) }

    /// The pause after it has opened `trips` times before without a success in between: full jitter over a growing
    /// range, of which half of the first range is the least.
    ///
    /// - Parameter jitter: 0 … 1000.
    public func pause(trips: Int, jitter: Int) -> Duration {
        let ceiling = min(cap.wholeMilliseconds, base.wholeMilliseconds << Int64(min(max(trips, 0), 20)))
        let floor = base.wholeMilliseconds / 2
        return .milliseconds(floor + (ceiling - floor) * Int64(jitter) / 1000)
    }
}

/// What an attempt says about the provider, whatever it says about the account.
public enum ProviderHealth: String, Sendable, Hashable {
    /// Nothing: it was throttled, or never got as far as the provider.
    case unknown
    /// It answers and knows what it says, be it a refusal.
    case answering
    /// 5xx, no answer, an answer that cannot be read, no connection, or a client that it does not take.
    case failing
}
