/// Exponential back-off with full jitter: the n-th wait is drawn evenly from zero to `min(cap, base · 2ⁿ)`, so that a
/// fleet does not come back all at once.
public struct ReconnectBackoff: Sendable, Hashable {
    /// Default 50 ms.
    public var base: Duration
    /// Default 5 s.
    public var cap: Duration

    public init(base: Duration = .milliseconds(50), cap: Duration = .seconds(5)) {
        self.base = base
        self.cap = cap
    }

    /// The longest wait after `attempt` failures in a row, counted from 0.
    public func ceiling(attempt: Int) -> Duration {
        var ceiling = base
        for _ in 0..<max(attempt, 0) {
            if ceiling >= cap { break }
            ceiling = ceiling * 2
        }
        return min(ceiling, cap)
    }

    /// The wait after `attempt` failures in a row.
    ///
    /// - Parameter fraction: Drawn evenly from 0…1 for each wait.
    public func delay(attempt: Int, fraction: Double) -> Duration {
        max(ceiling(attempt: attempt), .zero) * min(max(fraction, 0), 1)
    }
}
