import ConfigurationFile
import RefreshCore

extension RateLimit {
    /// The most refreshes a second of a limit: one a millisecond.
    private static let fastest = 1000

    /// `rate_limit: { requests: 30, per: 1m, burst: 3 }`.
    static func read(_ key: String, in section: ConfigurationSection) -> RateLimit? {
        section.section(key) { limit in
            // What is no mapping at all has been reported.
            guard limit.isMapping else { return nil }
            let requests = limit.int("requests", in: 1...1_000_000)
            let per = limit.duration("per", in: .seconds(1) ... .seconds(86_400))
            let burst = limit.int("burst", in: 1...1_000_000)
            for name in ["requests", "per"] where !limit.contains(name) {
                limit.report(.missing, "needs \(name): write { requests: 30, per: 1m }")
            }
            guard let requests, let per else { return nil }
            if let burst, burst > requests {
                limit.report(
                    .contradiction, "burst", "is more than requests (\(requests)): no more than that go in one span")
                return nil
            }
            guard Double(requests) <= per.inSeconds * Double(fastest) else {
                limit.report(
                    .invalidValue, "requests", "is more than \(fastest) a second: leave rate_limit out instead")
                return nil
            }
            return RateLimit(requests: requests, per: per, burst: burst)
        } ?? nil
    }
}

/// `circuit_breaker: off`, or what it takes to open it.
enum CircuitBreakerSetting: Sendable, Hashable {
    case off
    case on(CircuitBreaker)

    static func read(_ key: String, in section: ConfigurationSection) -> CircuitBreakerSetting? {
        guard section.isSection(key) else {
            return section.parsed(key, "off, on or { failures: 5, cap: 5m }") { text in
                switch text {
                case "off", "false": .off
                case "on", "true": .on(CircuitBreaker())
                default: nil
                }
            }
        }
        return section.section(key) { breaker in
            let usual = CircuitBreaker()
            let failures = breaker.int("failures", in: 1...1000)
            let cap = breaker.duration("cap", in: .seconds(1) ... .seconds(3600))
            return .on(CircuitBreaker(failures: failures ?? usual.failures, cap: cap ?? usual.cap))
        }
    }

    var breaker: CircuitBreaker? {
        switch self {
        case .off: nil
        case .on(let breaker): breaker
        }
    }
}
