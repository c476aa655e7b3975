import ArgumentParser
import ConfigurationFile
import CurlClient
import MockProvider
import NIOConcurrencyHelpers
import PerennialServers
import RedisClient

/// What a fleet costs where each command is paid for.
struct HostedBudgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hosted-budget",
        abstract: "Redis commands a day of 3 instances with 10 accounts in the hosted profile, from a compressed day.")

    @OptionGroup var options: BenchOptions

    @Option(help: "How many times faster than in life everything happens.")
    var factor = 60

    @Option(help: "Seconds to measure; rounded up to whole heartbeats.")
    var seconds: Int?

    func validate() throws {
        guard (1...HostedBudgetSuite.largestFactor).contains(factor) else {
            throw ValidationError("--factor is a whole number from 1 to \(HostedBudgetSuite.largestFactor)")
        }
    }

    func run() async throws { try await options.run([HostedBudgetSuite(factor: factor, seconds: seconds)]) }
}

/// Real processes in the hosted profile with all times divided by a factor, and callers that read each account on each
/// instance; the server's own counts, multiplied up to a day.
struct HostedBudgetSuite: BenchSuite {
    let name = "hosted-budget"
    static let instances = 3
    static let accounts = 10
    static let limit = 4000
    /// Tokens live whole seconds, and readers and looks at the schedule need their time.
    static let largestFactor = 120

    // Of life, in seconds: a token, its window and skew, the profile's times, and how often each caller reads.
    private static let lifetime = 3600
    private static let window = 300
    private static let skew = 60
    private static let leaseTTL = 1800
    private static let heartbeat = 7200
    private static let beat = 3600
    private static let reading = 60
    /// The leader compares the forecasts with the budget at each heartbeat (one HGETALL), once they are ten minutes
    /// old: later than a compressed run lasts.
    private static let budgetLooks = 86_400 / heartbeat

    var factor = 60
    var seconds: Int?

    private struct Reads: Sendable {
        var answered = 0
        var failures: [String: Int] = [:]
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        try await Workshop.with(environment) { workshop in
            let redis = try await workshop.startRedis()
            let mock = try await MockProcess.start(
                workshop, latency: "20ms", options: ["--lifetime", text(Self.lifetime)])
            let configuration = try write(in: workshop, redisURL: redis.url, tokenURL: mock.tokenURL)
            var instances: [PerennialInstance] = []
            for number in 1...Self.instances {
                instances.append(try await .start(workshop, configuration: configuration, number: number))
            }
            let (accounts, reads) = (NIOLockedValueBox<[String]>([]), NIOLockedValueBox(Reads()))
            return try await withThrowingTaskGroup(of: Void.self) { group in
                for instance in instances {
                    group.addTask { try await read(accounts, from: instance, workshop.http, reads) }
                }
                defer { group.cancelAll() }
                environment.say("  accounts, one after the other over one life of a token")
                for number in 1...Self.accounts {
                    let account = try await mock.seedOne("hosted-\(number)-", isExpired: false)
                    try await instances[0].put(account, workshop.http)
                    accounts.withLockedValue { $0.append(account.id) }
                    try await Task.sleep(for: time(Self.lifetime) / Self.accounts)
                }
                return try await measure(environment, redis.url, mock, reads)
            }
        }
    }

    private func measure(
        _ environment: BenchEnvironment, _ url: String, _ mock: MockProcess, _ reads: NIOLockedValueBox<Reads>
    ) async throws -> BenchReport {
        let beats = time(Self.heartbeat)
        let wanted = Duration.seconds(seconds ?? (environment.isQuick ? 120 : 240))
        // Whole heartbeats, so that they come as often as in life.
        let length = beats * max(1, Int((wanted / beats).rounded(.up)))
        environment.say("  measuring for \(Int(length / .seconds(1))) s")
        var configuration = try RedisConfiguration(url: url)
        configuration.pingInterval = .seconds(86_400)
        return try await RedisClient.withClient(configuration) { client in
            let (before, refreshesBefore) = (try await Self.counts(client), try await mock.totals().tokenRequests)
            let readsBefore = reads.withLockedValue { $0.answered }
            let started = ContinuousClock.now
            try await Task.sleep(for: length)
            let counts = try await Self.counts(client).since(before)
            let days = (ContinuousClock.now - started) / .seconds(86_400) * Double(factor)
            let totals = try await mock.totals()
            return report(
                counts, days: days, refreshes: totals.tokenRequests - refreshesBefore,
                duplicates: totals.duplicateSpends, reads: reads.withLockedValue { $0 }, readsBefore: readsBefore)
        }
    }

    private func report(
        _ counts: RedisCounts, days: Double, refreshes: Int, duplicates: Int, reads: Reads, readsBefore: Int
    ) -> BenchReport {
        var report = BenchReport(name)
        func perDay(_ count: Int) -> Double { Double(count) / days }
        let hours = NumberText.fixed(days * 24, places: 2)
        report.add("hours of life measured", days * 24, "h")
        report.add("refreshes", refreshes)
        report.add("commands", counts.total)
        report.add("commands for each refresh, all told", Double(counts.total) / Double(max(refreshes, 1)))
        let total = perDay(counts.total) + Double(Self.budgetLooks)
        report.require("commands a day", total.rounded(.up), .atMost, Double(Self.limit))
        // An access token is replaced window + jitter (a tenth of the window on average) before its end.
        let expected = Double(Self.accounts) * 86_400 / (Double(Self.lifetime) - 1.1 * Double(Self.window))
        report.require("refreshes a day", perDay(refreshes), .atLeast, (expected * 0.9).rounded())
        report.require("duplicate spends", duplicates, .equals, 0)
        report.require("reads answered", reads.answered - readsBefore, .atLeast, 1)
        report.require("failed reads", reads.failures.values.reduce(0, +), .equals, 0)
        report.notes = [
            "\(Self.instances) instances, \(Self.accounts) accounts, 1 h tokens, each account read once a minute on each "
                + "instance; everything \(factor) times as fast as in life: \(hours) h; INFO commandstats before and after",
            "in that time: " + counts.text,
            "a day: "
                + counts.calls.sorted { $0.key < $1.key }
                .map { "\($0.key) \(NumberText.fixed(perDay($0.value), places: 0))" }.joined(separator: ", "),
            "\(counts.total) commands in \(hours) h x 24 = \(NumberText.fixed(perDay(counts.total), places: 0)), and "
                + "\(Self.budgetLooks) HGETALL of the leader's look at the budget, which begins after ten minutes",
        ]
        for (failure, count) in reads.failures.sorted(by: { $0.key < $1.key }) {
            report.notes.append("failed \(count) times: \(failure)")
        }
        return report
    }

    /// Reads every account once a minute of life, until cancelled.
    private func read(
        _ accounts: NIOLockedValueBox<[String]>, from instance: PerennialInstance, _ http: CurlClient,
        _ reads: NIOLockedValueBox<Reads>
    ) async throws {
        while !Task.isCancelled {
            let next = ContinuousClock.now + time(Self.reading)
            for account in accounts.withLockedValue({ $0 }) {
                let answer = try? await http.execute(
                    CurlRequest(url: "\(instance.origin)/v1/accounts/\(account)/token"))
                if Task.isCancelled { return }
                reads.withLockedValue { reads in
                    if let answer, answer.status == 200 {
                        reads.answered += 1
                    } else {
                        let text = answer.map { "\($0.status) \(String(decoding: $0.body, as: UTF8.self))" }
                        reads.failures[text ?? "no answer", default: 0] += 1
                    }
                }
            }
            try await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// The profile's defaults, each divided by the factor.
    private func write(in workshop: Workshop, redisURL: String, tokenURL: String) throws -> String {
        var configuration = FleetConfiguration(redisURL: redisURL, tokenURL: tokenURL, isProactive: true)
        configuration.redis = [
            "profile: hosted", "ping_interval: \(text(Self.heartbeat))", "heartbeat_interval: \(text(Self.heartbeat))",
        ]
        configuration.refresh = [
            "interval: \(text(Self.beat))", "window: \(text(Self.window))",
            "fallback_reread: \(DurationText.format(max(time(1), .milliseconds(10))))",
        ]
        configuration.lease = ["ttl: \(text(Self.leaseTTL))"]
        configuration.provider = ["skew: \(text(Self.skew))"]
        return try configuration.write(in: workshop)
    }

    /// Seconds of life, compressed.
    private func time(_ seconds: Int) -> Duration { .seconds(seconds) / factor }
    private func text(_ seconds: Int) -> String { DurationText.format(time(seconds)) }

    /// With PING, which is paid for like the others; the measurement itself sends none meanwhile.
    private static func counts(_ client: RedisClient) async throws -> RedisCounts {
        let reply = try await client.send(RedisCommand("INFO", "commandstats"))
        guard let text = reply.string else { throw BenchError("Redis answered INFO strangely") }
        return RedisCounts(info: text, ignoring: ["info"])
    }
}
