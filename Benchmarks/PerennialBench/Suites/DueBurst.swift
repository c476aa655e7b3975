import ArgumentParser
import MockProvider
import PerennialServers
import RedisClient
import RedisStore

/// Ten thousand accounts due at once, against what wrk gets from the same provider.
struct DueBurstCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "due-burst",
        abstract: "Refreshes a second with 10,000 accounts due at once, against a plain HTTP load generator.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Accounts that are due.")
    var accounts: Int?

    @Option(help: "Exchanges under way at once (max_concurrent); wrk gets as many connections.")
    var concurrency = 16

    func run() async throws {
        try await options.run([DueBurstSuite(accounts: accounts, concurrency: concurrency)])
    }
}

struct DueBurstSuite: BenchSuite {
    let name = "due-burst"
    static let required = 0.5
    static let latency = "5ms"

    var accounts: Int?
    var concurrency = 16

    private struct Round: Sendable {
        var wrk: [Double] = []
        /// All refreshes over the time from the first to the last.
        var rate = 0.0
        /// The same without the first and the last tenth.
        var steadyRate = 0.0
        var counts = RedisCounts(info: "")
        var totals = MockTotals()

        var yardstick: Double { wrk.reduce(0, +) / Double(max(1, wrk.count)) }
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        let accounts = accounts ?? (environment.isQuick ? 3_000 : 10_000)
        guard accounts >= 100, (1...1000).contains(concurrency) else {
            throw BenchError("at least 100 accounts and a concurrency from 1 to 1000 are needed")
        }
        var rounds: [Round] = []
        let wanted = environment.isQuick ? 1 : 3
        for number in 1...wanted {
            environment.say("  round \(number) of \(wanted)")
            rounds.append(try await round(environment, accounts: accounts))
        }
        return report(rounds, accounts: accounts)
    }

    private func round(_ environment: BenchEnvironment, accounts: Int) async throws -> Round {
        try await Workshop.with(environment) { workshop in
            var round = Round()
            let seconds: Duration = .seconds(environment.isQuick ? 2 : 3)
            round.wrk.append(try await yardstick(workshop, duration: seconds))

            let redis = try await workshop.startRedis()
            let mock = try await MockProcess.start(workshop, latency: Self.latency)
            let configuration = try FleetConfiguration(
                redisURL: redis.url, tokenURL: mock.tokenURL, isProactive: true, concurrency: concurrency
            ).write(in: workshop)
            environment.say("  importing \(accounts) accounts")
            try await PerennialInstance.importAccounts(
                workshop, configuration: configuration,
                lines: try await mock.seed(accounts, prefix: "burst-", areExpired: true))

            round.counts = try await RedisClient.withClient(redis.url) { client in
                let stored = try await client.send(RedisCommand("ZCARD", Keys().accounts(0))).int
                guard stored == Int64(accounts) else {
                    throw BenchError("\(accounts) accounts were imported, and Redis has \(stored ?? 0)")
                }
                environment.say("  refreshing")
                _ = try await client.send(RedisCommand("CONFIG", "RESETSTAT"))
                _ = try await PerennialInstance.start(workshop, configuration: configuration)
                try await Self.waitForRefreshes(mock, accounts)
                try await Self.waitForCommits(client, accounts)
                return try await client.counts()
            }
            let ledger = try await mock.ledger()
            round.totals = ledger.totals
            (round.rate, round.steadyRate) = try Self.rates(ledger)
            round.wrk.append(try await yardstick(workshop, duration: seconds))
            return round
        }
    }

    /// What wrk gets from the token endpoint of a provider of its own. Its refresh tokens survive use, so that every
    /// request can be the same: spending tokens that rotate would need Lua in every request and slow wrk down.
    private func yardstick(_ workshop: Workshop, duration: Duration) async throws -> Double {
        let mock = try await MockProcess.start(
            workshop, latency: Self.latency, options: ["--rotation", "reusable"])
        let account = try await mock.seedOne("yardstick-", isExpired: true)
        let request = Wrk.Request(
            method: "POST", headers: [("Content-Type", "application/x-www-form-urlencoded")],
            body: "grant_type=refresh_token&client_id=bench&refresh_token=\(account.refreshToken)")
        let wrk = Wrk(connections: concurrency, threads: 1, duration: duration)
        return try await wrk.run(workshop, url: mock.tokenURL, request)
    }

    private static func waitForRefreshes(_ mock: MockProcess, _ count: Int) async throws {
        var last = (refreshes: 0, at: ContinuousClock.now)
        while true {
            let totals = try await mock.totals()
            if totals.refreshes >= count { return }
            if totals.refreshes > last.refreshes { last = (totals.refreshes, .now) }
            guard ContinuousClock.now - last.at < .seconds(40) else {
                throw BenchError("the refreshes stopped at \(totals.refreshes) of \(count)")
            }
            // Seldom: every look costs the provider time that is being measured.
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// The provider has answered the last one; its commit follows.
    private static func waitForCommits(_ client: RedisClient, _ count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while try await client.counts()["xadd"] < count {
            guard ContinuousClock.now < deadline else {
                throw BenchError("not all refreshes were committed within 10 s")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private static func rates(_ ledger: MockLedger) throws -> (Double, Double) {
        let times = ledger.uses.map { Double($0.at.milliseconds) / 1000 }
        func rate(_ part: ArraySlice<Double>) throws -> Double {
            guard let first = part.first, let last = part.last, last > first else {
                throw BenchError("the ledger spans no time")
            }
            return Double(part.count - 1) / (last - first)
        }
        let tenth = times.count / 10
        return (try rate(times[...]), try rate(times[tenth..<(times.count - tenth)]))
    }

    private func report(_ rounds: [Round], accounts: Int) -> BenchReport {
        var report = BenchReport(name)
        report.add("wrk, token requests", Samples(rounds.map(\.yardstick)).median, "requests/s")
        report.add("perennial, first to last refresh", Samples(rounds.map(\.rate)).median, "refreshes/s")
        report.add("perennial, without first and last tenth", Samples(rounds.map(\.steadyRate)).median, "refreshes/s")
        report.add("ratio without first and last tenth", Samples(rounds.map { $0.steadyRate / $0.yardstick }).median)
        let takes = rounds.map { $0.counts["zrangebyscore"] }
        report.add("looks at the schedule in a round", Samples(takes.map(Double.init)).median)
        // One provider: each look reads its due set once and nothing else does.
        let scripts = rounds.map { round in
            Double(round.counts.scripts - round.counts["zrangebyscore"]) / Double(accounts)
        }
        report.require(
            "refreshes : wrk's requests", Samples(rounds.map { $0.rate / $0.yardstick }).median, .atLeast,
            Self.required)
        // Two, and the few of the lease: one every 1.7 s.
        report.require("script round trips a refresh, looks apart", Samples(scripts).largest, .atMost, 2.01)
        report.require("duplicate spends", rounds.map(\.totals.duplicateSpends).max() ?? -1, .equals, 0)
        report.require(
            "token requests beyond one an account", rounds.map { $0.totals.tokenRequests - accounts }.max() ?? -1,
            .equals, 0)
        report.notes = [
            "\(accounts) accounts due at once, one instance, \(concurrency) exchanges at once, provider at "
                + "\(Self.latency); medians of \(rounds.count) round(s)",
            "yardstick: wrk with \(concurrency) connections and one thread, before and after in the same round, "
                + "against a provider configured alike whose refresh tokens survive use, so that wrk can send the "
                + "same bytes each time without running Lua",
            "provider, Redis, and either instance or wrk share \(CPUs.count) cores; an instance also seals, journals "
                + "with fsync, and stores",
        ]
        if let counts = rounds.last?.counts { report.notes.append("Redis, last round: \(counts.text)") }
        return report
    }
}
