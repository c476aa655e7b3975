import ArgumentParser
import Glibc
import PerennialServers

/// Measures Perennial against yardsticks taken in the same run and counts what it does: `PerennialBench all`.
@main
struct PerennialBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "PerennialBench",
        abstract: "Measures what Perennial has to show: ratios to a yardstick of the same run, and counts.",
        discussion: """
            Every subcommand starts what it needs (perennial, redis-server, nginx, wrk) on free ports of 127.0.0.1 or on \
            Unix sockets in a temporary directory, and stops it again. The exit code is 1 when something was missed.
            """,
        subcommands: [
            WarmReadsCommand.self, DueBurstCommand.self, HerdCommand.self, RefusedCommand.self, IdleTickCommand.self,
            HostedBudgetCommand.self, GatewayOverheadCommand.self, GatewayStreamsCommand.self, AllCommand.self,
        ])

    static func main() async {
        ProcessPreparation.run()
        await main(nil)
    }
}

/// What every subcommand can be told.
struct BenchOptions: ParsableArguments {
    @Option(help: "The perennial binary. Default: the one beside this program.")
    var perennial: String?

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Flag(help: "Shorter runs, for CI.")
    var quick = false

    func environment() throws -> BenchEnvironment {
        BenchEnvironment(perennial: try PerennialBinary.locate(perennial), isQuick: quick, isQuiet: json)
    }

    /// Measures, prints, and ends with exit code 1 where a requirement was missed.
    func run(_ suites: [any BenchSuite]) async throws {
        let environment = try environment()
        var reports: [BenchReport] = []
        for suite in suites {
            environment.say("\(suite.name) …")
            let report: BenchReport
            do {
                report = try await suite.run(environment)
            } catch {
                report = BenchReport(suite.name, failure: "\(error)")
            }
            if !json { print(ReportTable.render(report)) }
            reports.append(report)
        }
        if json {
            print(try ReportJSON.render(reports))
        } else if suites.count > 1 {
            print(ReportTable.summary(reports))
        }
        if reports.contains(where: { !$0.isMet }) { throw ExitCode(1) }
    }
}

/// What a suite is run with.
struct BenchEnvironment: Sendable {
    var perennial: String
    /// Shorter runs.
    var isQuick: Bool
    var isQuiet: Bool

    /// Progress, on stderr so that the report stays alone on stdout.
    func say(_ text: String) {
        guard !isQuiet else { return }
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}

extension Workshop {
    /// Runs `body` with a new workshop, and stops and removes everything afterwards, whatever happens.
    static func with<Result: Sendable>(
        _ environment: BenchEnvironment, _ body: (Workshop) async throws -> Result
    ) async throws -> Result {
        try await with(perennial: environment.perennial, prefix: "prn-bench", body)
    }
}

/// One measurement with its requirements.
protocol BenchSuite: Sendable {
    var name: String { get }
    func run(_ environment: BenchEnvironment) async throws -> BenchReport
}

/// Something that kept a measurement from being made.
struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
