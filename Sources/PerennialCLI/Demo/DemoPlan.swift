import ConfigurationFile

/// What a demo is to do, checked, with the times that follow from it.
struct DemoPlan: Sendable, Equatable {
    enum Kill: String, Sendable, CaseIterable {
        case leader, none
    }

    /// Why a plan makes no sense.
    struct Invalid: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    let instances: Int
    let accounts: Int
    let lifetime: Duration
    let duration: Duration
    let kill: Kill
    let readsPerSecond: Int

    /// - Parameter kill: nil for the leader, if there is another instance to take over.
    /// - Throws: ``Invalid``, naming the option.
    init(
        instances: Int = 3, accounts: Int = 100, lifetime: Duration = .seconds(20), duration: Duration = .seconds(60),
        kill: Kill? = nil, readsPerSecond: Int = 300
    ) throws(Invalid) {
        func require(_ condition: Bool, _ message: String) throws(Invalid) {
            guard condition else { throw Invalid(description: message) }
        }
        try require((1...16).contains(instances), "--instances has to be between 1 and 16, not \(instances)")
        try require((1...10_000).contains(accounts), "--accounts has to be between 1 and 10000, not \(accounts)")
        try require(
            (1...5000).contains(readsPerSecond),
            "--reads-per-second has to be between 1 and 5000, not \(readsPerSecond)")
        try require(
            lifetime >= .seconds(5), "--lifetime has to be at least 5s, not \(DurationText.format(lifetime))")
        // Long enough for every account to be refreshed, and for a new leader to be seen at work.
        let least = max(.seconds(10), lifetime * 3 / 2)
        try require(
            duration >= least,
            "--duration has to be at least \(DurationText.format(least)) (10s, and one and a half lifetimes), "
                + "not \(DurationText.format(duration))")
        try require(
            duration <= .seconds(86_400), "--duration has to be at most 1d, not \(DurationText.format(duration))")
        try require(
            kill != .leader || instances > 1,
            "--kill leader needs at least two instances: nobody would be left to take over; use --kill none")
        self.instances = instances
        self.accounts = accounts
        self.lifetime = lifetime
        self.duration = duration
        self.kill = kill ?? (instances > 1 ? .leader : .none)
        self.readsPerSecond = readsPerSecond
    }

    // MARK: What follows

    /// Tokens with less life left than this are not handed out any more.
    var skew: Duration { min(lifetime / 5, .seconds(60)) }
    /// Accounts are refreshed when this much life is left.
    var window: Duration { min(lifetime / 2, .seconds(300)) }
    /// How long the provider forgives the one re-send of a refresh whose outcome a killed instance took to its grave.
    var grace: Duration { .seconds(10) }
    /// Time that the provider takes for a refresh.
    var providerLatency: Duration { .milliseconds(20) }
    var leaseTTL: Duration { min(max(lifetime / 5, .seconds(1)), .seconds(2)) }
    /// How long an account stays locked whose refresh a killed instance has left behind. Well below the time from a
    /// refresh to the end of the old token, so that the one who finds it still comes in time.
    var lockTTL: Duration { min(max(lifetime / 5, .seconds(2)), .seconds(4)) }
    /// The configuration insists that send_by, exchange_deadline and a second of margin fit into lock_ttl.
    var exchangeDeadline: Duration { (lockTTL - .seconds(1)) * 2 / 3 }
    var sendBy: Duration { (lockTTL - .seconds(1)) / 3 }
    var connectTimeout: Duration { exchangeDeadline / 2 }
    /// Counted from the start of the load.
    var killAt: Duration { duration / 2 }

    /// Life of an account's first access token. Spread over half a lifetime, as among accounts that were not all
    /// authorised in the same second; otherwise they would all be due together.
    func firstLifetime(account index: Int) -> Duration {
        lifetime + lifetime * index / (2 * accounts)
    }

    /// The configuration that the instances are given.
    func configuration(directory: String, tokenURL: String) -> String {
        func text(_ duration: Duration) -> String { DurationText.format(duration) }
        return """
            # Made by `perennial demo`.
            redis: { url: "unix://\(directory)/redis.sock" }
            sealing: { key_file: "\(directory)/sealing.key" }
            refresh: { interval: 5s, window: \(text(window)) }
            lease: { ttl: \(text(leaseTTL)) }
            providers:
              demo:
                preset: oauth2
                token_url: \(tokenURL)
                client_id: demo
                client_auth: none
                rotation: { grace: \(text(grace)) }
                skew: \(text(skew))
                window: \(text(window))
                connect_timeout: \(text(connectTimeout))
                exchange_deadline: \(text(exchangeDeadline))
                send_by: \(text(sendBy))
                lock_ttl: \(text(lockTTL))

            """
    }
}
