import ArgumentParser
import FoundationEssentials
import PerennialServers
import MockProvider
import NIOCore

/// A thousand callers who say at once that the token of one generation was refused.
struct RefusedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refused",
        abstract: "1,000 simultaneous \"generation g was refused\" over 3 instances: exactly one refresh.")

    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.run([RefusedSuite()]) }
}

struct RefusedSuite: BenchSuite {
    let name = "refused"
    static let callers = 1000
    static let latency = "100ms"

    private struct Answer: Decodable {
        var outcome: String
        var generation: Int
    }

    func run(_ environment: BenchEnvironment) async throws -> BenchReport {
        try await Workshop.with(environment) { workshop in
            let fleet = try await Fleet.start(workshop, latency: Self.latency)
            let pool = try await ReaderPool.open(ports: fleet.ports, connections: Self.callers)
            var outcomes: [String: Int] = [:]
            var failures = 0
            var refreshes: [Int] = []
            let rounds = environment.isQuick ? 2 : 5
            for number in 1...rounds {
                environment.say("  round \(number) of \(rounds)")
                let account = try await fleet.mock.seedOne("refused-\(number)-", isExpired: false)
                try await fleet.instances[0].put(account, workshop.http)
                let before = try await fleet.mock.totals().tokenRequests
                let answers = try await pool.fire {
                    ReaderPool.request(
                        "POST", "/v1/accounts/\(account.id)/refresh", port: $0, body: "{\"if_generation\":1}")
                }
                refreshes.append(try await fleet.mock.totals().tokenRequests - before)
                for (_, answer) in answers {
                    guard answer.status == 200,
                        let decoded = try? JSONDecoder().decode(Answer.self, from: Data(answer.body.readableBytesView)),
                        decoded.generation == 2
                    else {
                        failures += 1
                        continue
                    }
                    outcomes[decoded.outcome, default: 0] += 1
                }
            }
            await pool.close()
            let totals = try await fleet.mock.totals()
            var report = BenchReport(name)
            for (outcome, count) in outcomes.sorted(by: { $0.key < $1.key }) {
                report.add("answered \(outcome)", count)
            }
            report.require("most refreshes for one generation", refreshes.max() ?? 0, .equals, 1)
            report.require("fewest refreshes for one generation", refreshes.min() ?? 0, .equals, 1)
            report.require("answers that say \"refreshed\"", outcomes["refreshed"] ?? 0, .equals, rounds)
            report.require("duplicate spends", totals.duplicateSpends, .equals, 0)
            report.require("failed calls", failures, .equals, 0)
            report.notes = [
                "\(rounds) rounds of \(Self.callers) POST …/refresh {\"if_generation\": 1} at once over "
                    + "\(fleet.instances.count) instances, each with a new account whose token is still good; "
                    + "provider at \(Self.latency)"
            ]
            return report
        }
    }
}
