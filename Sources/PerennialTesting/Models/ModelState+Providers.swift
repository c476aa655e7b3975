import RefreshCore

// What the scripts note of providers: pauses, circuit breakers and rate limits (prelude.lua).
extension ModelState {
    /// "failures trips probe".
    public struct Breaker: Sendable, Hashable {
        /// In a row.
        public var failures = 0
        /// How often it has opened since the last answer.
        public var trips = 0
        /// The attempt that goes first after a pause.
        public var probe: AttemptID?
    }

    /// Whether a time in the past was written by a clock that has been set back since.
    static func isAhead(_ time: WallTime, _ now: WallTime) -> Bool { time > now + .seconds(5) }

    /// The pause that stands now.
    public func livePause(_ provider: ProviderName, now: WallTime) -> Pause? {
        guard let pause = pauses[provider], pause.until > now, !Self.isAhead(pause.until - .seconds(3600), now) else {
            return nil
        }
        return pause
    }

    /// Of two pauses the longer one stands, unless a clock that was set back made it.
    mutating func pause(_ provider: ProviderName, for pause: Duration, cause: RefreshFault, now: WallTime) {
        if let standing = pauses[provider], standing.until > now + pause, standing.until <= now + .seconds(3600) {
            return
        }
        pauses[provider] = Pause(until: now + pause, cause: cause)
        writes += 1
    }

    mutating func note(_ request: SettleRequest, now: WallTime) {
        switch request.health {
        case .unknown: break
        case .answering: if request.followsFailures, noteAnswer(request.provider) { outbox.append(.providerResumed) }
        case .failing: noteFailure(request, now: now)
        }
    }

    private mutating func noteFailure(_ request: SettleRequest, now: WallTime) {
        guard let circuit = request.circuitBreaker else { return }
        var breaker = breakers[request.provider] ?? Breaker()
        let standing = livePause(request.provider, now: now)
        let isProbe = breaker.probe == request.attempt
        breaker.failures += 1
        if breaker.failures >= circuit.failures, isProbe || breaker.trips == 0 || standing == nil {
            let pause = circuit.pause(trips: breaker.trips, jitter: request.jitter)
            let ends = now + max(pause, request.pauseProvider ?? .zero)
            // Nor is a longer pause cut short that the provider has asked for.
            if standing.map({ $0.until < ends || (isProbe && $0.cause.kind != .throttled) }) ?? true {
                pauses[request.provider] = Pause(until: ends, cause: request.fault)
            }
            breaker.trips += 1
            breaker.probe = nil
        }
        breakers[request.provider] = breaker
        writes += 1
    }

    /// Whether that ends a pause, which must not be one that the provider asked for.
    mutating func noteAnswer(_ provider: ProviderName) -> Bool {
        guard let breaker = breakers.removeValue(forKey: provider) else { return false }
        writes += 1
        guard breaker.trips > 0, pauses[provider]?.cause.kind != .throttled else { return false }
        pauses[provider] = nil
        return true
    }

    /// After a pause one attempt goes first, and the others wait until it has found out, or is gone.
    mutating func goFirst(_ provider: ProviderName, _ attempt: AttemptID, ttl: Duration, now: WallTime) {
        breakers[provider]?.probe = attempt
        var cause = pauses[provider]?.cause
        // This is no pause that the provider has asked for, even where the one before it was.
        if cause?.kind == .throttled { cause = nil }
        let failing = RefreshFault(kind: .ambiguous, message: "the provider was failing")
        pauses[provider] = Pause(until: now + ttl, cause: cause ?? failing)
        writes += 1
    }

    /// Nil where a slot was free, and is taken.
    mutating func takeSlot(
        _ request: BeginRequest, _ account: AccountSnapshot, isRecovery: Bool, now: WallTime
    ) -> (until: WallTime, isPromised: Bool)? {
        guard let limit = request.rateLimit else { return nil }
        var isUrgent = isRecovery || request.ignoresBackoff
        if case .newerThan = request.demand, account.expiresAt.map({ $0 <= now }) ?? true { isUrgent = true }
        var bucket = buckets[account.provider] ?? RateBucket()
        switch bucket.take(limit, now: now, isUrgent: isUrgent) {
        case .taken:
            buckets[account.provider] = bucket
            writes += 1
            return nil
        case .wait(let until, let isPromised):
            if isPromised {
                buckets[account.provider] = bucket
                writes += 1
            }
            return (until, isPromised)
        }
    }
}
