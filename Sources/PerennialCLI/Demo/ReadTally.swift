/// What the reading load has seen.
struct ReadTally: Sendable, Equatable {
    /// How a read ended.
    enum Outcome: Sendable, Equatable {
        case served(TokenReading)
        /// No instance answered with a token.
        case failed(reason: String)
    }

    struct Account: Sendable, Equatable {
        /// Seconds since 1970.
        var expiresAt: Int64
        var generation: Int64
    }

    private(set) var served = 0
    private(set) var failed = 0
    /// Reads that needed more than one instance.
    private(set) var rerouted = 0
    private(set) var waited = 0
    /// Of these, reads that began before the leader was killed.
    private(set) var waitedInSteadyState = 0
    private(set) var expired = 0
    /// Tokens that were used at the provider's resource, to see whether they work.
    private(set) var used = 0
    private(set) var latency = LatencyHistogram()
    /// Latest known expiry and generation of each account, by its number.
    private(set) var accounts: [Int: Account] = [:]
    /// Why reads failed, the first few reasons with how often each.
    private(set) var reasons: [String: Int] = [:]
    /// The first few tokens that did not work, told so that one can look for them in the logs. Without the tokens.
    private(set) var examples: [String] = []
    private static let reasonsLimit = 8
    private static let examplesLimit = 5

    mutating func record(
        _ outcome: Outcome, account: Int, attempts: Int, latency time: Duration, isSteady: Bool, now: Double
    ) {
        if attempts > 1 { rerouted += 1 }
        switch outcome {
        case .served(let reading):
            served += 1
            latency.record(time)
            if reading.hasWaited {
                waited += 1
                if isSteady { waitedInSteadyState += 1 }
            }
            if reading.isExpired(at: now) { countExpired(reading, account: account, at: now, "arrived") }
            // An instance may learn of a new generation a moment later than another: that is no step back.
            if reading.generation >= accounts[account]?.generation ?? .min {
                accounts[account] = Account(expiresAt: reading.expiresAt, generation: reading.generation)
            }
        case .failed(let reason):
            failed += 1
            if reasons[reason] != nil || reasons.count < Self.reasonsLimit { reasons[reason, default: 0] += 1 }
        }
    }

    /// A token was tried at the resource, which had its say at `now`.
    ///
    /// - Parameter wasExpired: the answer that brought it has been counted as expired already.
    mutating func recordUse(
        of reading: TokenReading, account: Int, accepted: Bool, wasExpired: Bool, now: Double
    ) {
        used += 1
        if !accepted, !wasExpired { countExpired(reading, account: account, at: now, "was refused") }
    }

    private mutating func countExpired(_ reading: TokenReading, account: Int, at now: Double, _ what: String) {
        expired += 1
        guard examples.count < Self.examplesLimit else { return }
        let tenths = Int(((now - Double(reading.expiresAt)) * 10).rounded(.down))
        examples.append(
            "token g\(reading.generation) of account number \(account + 1), from \(reading.source), \(what) "
                + "\(tenths < 0 ? "before" : "after") the end that was told (\(abs(tenths) / 10).\(abs(tenths) % 10) s)"
        )
    }

    /// Accounts whose tokens end first, earliest first.
    func earliest(_ count: Int) -> [(account: Int, state: Account)] {
        accounts.sorted { ($0.value.expiresAt, $0.key) < ($1.value.expiresAt, $1.key) }
            .prefix(count).map { ($0.key, $0.value) }
    }
}
