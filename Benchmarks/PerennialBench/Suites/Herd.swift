import ArgumentParser
import MockProvider
import NIOCore
import PerennialServers
import RedisClient
import RedisStore

/// Many readers of one expired account at once.
struct HerdCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "herd",
        abstract: "500 concurrent readers on each of 3 instances of one expired account: one call, all answered.")

    @OptionGroup var options: BenchOptions

    @Flag(help: "Drop every published message on its way to the instances.")
    var dropPublish = false

    func run() async throws { try await options.run([HerdSuite(dropsPublish: dropPublish)]) }
}

struct HerdSuite: BenchSuite {
    static let instances = 3
    static let readers = 500
    /// Long enough for every reader to arrive before the tokens do.
    static let latency = "400ms"
    /// Milliseconds after the commit within which 99 of 100 readers are answered.
    static let wakeUp = 50.0
    /// The fall-back interval at its longest: 250 ms and a quarter.
    static let fallback = 312.5

    var dropsPublish: Bool

    var name: String { dropsPublish ? "herd, every PUBLISH dropped" : "herd" }

    private struct Outcome {
        var calls: [Int] = []
        var failures = 0
        /// Milliseconds from the commit to each reader's answer, by round.
        var delays: [[Double]] = []
        var waited = 0
        var readers = 0
        var duplicateSpends = 0
        var swallowed = 0
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        try await Workshop.with(environment) { workshop in
            let fleet = try await Fleet.start(
                workshop, latency: Self.latency, dropsPublish: dropsPublish, size: Self.instances)
            let pool = try await ReaderPool.open(ports: fleet.ports, connections: Self.instances * Self.readers)
            var outcome = Outcome()
            let rounds = environment.isQuick ? 2 : 5
            try await RedisClient.withClient(fleet.redisURL) { client in
                for number in 1...rounds {
                    environment.say("  round \(number) of \(rounds)")
                    try await round(number, fleet, pool, client, workshop, &outcome)
                }
            }
            outcome.duplicateSpends = try await fleet.mock.totals().duplicateSpends
            await pool.close()
            if let proxy = fleet.proxy {
                outcome.swallowed = proxy.swallowed
                await proxy.close()
            }
            return report(outcome)
        }
    }

    private func round(
        _ number: Int, _ fleet: Fleet, _ pool: ReaderPool, _ client: RedisClient, _ workshop: Workshop,
        _ outcome: inout Outcome
    ) async throws {
        let account = try await fleet.mock.seedOne("herd-\(number)-", isExpired: true)
        try await fleet.instances[0].put(account, workshop.http)
        let before = try await fleet.mock.totals().tokenRequests
        let answers = try await pool.fire {
            ReaderPool.request("GET", "/v1/accounts/\(account.id)/token", port: $0, body: nil)
        }
        outcome.calls.append(try await fleet.mock.totals().tokenRequests - before)
        let committedAt = try await Self.lastCommit(client, of: account.id)
        outcome.readers += answers.count
        for (_, answer) in answers {
            let text = String(buffer: answer.body)
            if answer.status != 200 || !text.contains("\"generation\":2,") { outcome.failures += 1 }
            if text.contains("\"source\":\"refresh\"") { outcome.waited += 1 }
        }
        outcome.delays.append(answers.map { Double($0.answer.at - committedAt * 1000) / 1000 })
    }

    /// When the account's newest tokens were written, in milliseconds since 1970: the moment its event says, rounded
    /// down, so that delays are never shown shorter than they were.
    private static func lastCommit(_ client: RedisClient, of account: String) async throws -> Int64 {
        let reply = try await client.send(RedisCommand("XREVRANGE", Keys().events(0), "+", "-", "COUNT", 1))
        let fields = reply.array?.first?.array?.last?.array?.map { $0.string ?? "" } ?? []
        var event: [String: String] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) { event[fields[index]] = fields[index + 1] }
        guard event["type"] == "token.refreshed", event["account"] == account, let at = event["at"].flatMap(Int64.init)
        else { throw BenchError("the last event is not the commit of \(account)") }
        return at
    }

    private func report(_ outcome: Outcome) -> BenchReport {
        var report = BenchReport(name)
        let all = Samples(outcome.delays.flatMap { $0 })
        report.add("readers", outcome.readers)
        report.add("of them waited for the refresh", outcome.waited)
        report.add("commit to answer, p50", all.median, "ms")
        report.add("commit to answer, p99", all.percentile(0.99), "ms")
        report.add("commit to answer, longest", all.largest, "ms")
        let rounds = Samples(outcome.delays.map { Samples($0).percentile(0.99) })
        report.add("p99 of the best round", rounds.smallest, "ms")
        report.add("p99 of the worst round", rounds.largest, "ms")
        report.require("most upstream calls for one account", outcome.calls.max() ?? 0, .equals, 1)
        report.require("fewest upstream calls for one account", outcome.calls.min() ?? 0, .equals, 1)
        report.require("duplicate spends", outcome.duplicateSpends, .equals, 0)
        report.require("failed reads", outcome.failures, .equals, 0)
        if dropsPublish {
            report.require("messages dropped", outcome.swallowed, .atLeast, outcome.calls.count * Self.instances)
            report.require("commit to answer, longest", all.largest, .atMost, Self.fallback + Self.wakeUp, "ms")
        } else {
            report.require("commit to answer, p99", all.percentile(0.99), .atMost, Self.wakeUp, "ms")
        }
        report.notes = [
            "\(Self.instances) instances, \(Self.readers) readers on each at once, connections opened before; "
                + "\(outcome.calls.count) rounds, each with a new expired account; provider at \(Self.latency)",
            "from the time that the commit's event says (whole milliseconds, rounded down) to the last byte at the "
                + "reader; instances, Redis, provider and all readers share \(CPUs.count) cores",
        ]
        let byRound = outcome.delays.map { NumberText.fixed(Samples($0).percentile(0.99), places: 1) }
        report.notes.append("p99 by round, in ms: \(byRound.joined(separator: ", "))")
        if dropsPublish {
            report.notes.append(
                "the limit is one fall-back interval (250 ms and a quarter of jitter) and the \(Int(Self.wakeUp)) ms "
                    + "allowed for answering; a proxy swallows the messages while the subscriptions stay up")
        }
        return report
    }
}
