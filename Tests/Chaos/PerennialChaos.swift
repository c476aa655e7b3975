import ArgumentParser
import ConfigurationFile
import PerennialServers

/// Real processes, real Redis, real faults, and a verdict from the provider's ledger: `PerennialChaos --duration 2m`.
@main
struct PerennialChaos: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "PerennialChaos",
        abstract: "Does its worst to a fleet of Perennial, and shows what the provider's ledger says of it.",
        discussion: """
            Starts instances, Redis and an identity provider that revokes everything when a spent refresh token comes \
            again, reads tokens through all instances, and meanwhile kills, stops, cuts, delays, fails and turns clocks \
            by a seeded schedule. Then all is made well, and the provider, Redis, the journals and the logs are asked \
            what has become of every account. The exit code is 1 when something was violated; then the files are kept.

            Faults: \(FaultKind.allCases.map(\.rawValue).joined(separator: ", ")).
            """)

    @Option(help: "The Redis: single, sentinel (a primary, a replica, three Sentinels) or cluster (six nodes).")
    var topology = Topology.single

    @Option(help: ArgumentHelp("How long faults are injected.", valueName: "time"))
    var duration = TimeArgument(.seconds(120))

    @Option(help: ArgumentHelp("Instances of Perennial, 2 to 9.", valueName: "count"))
    var instances = 3

    @Option(help: ArgumentHelp("Accounts, 10 to 5,000.", valueName: "count"))
    var accounts = 200

    @Option(help: ArgumentHelp("Life of access tokens, at least 10s.", valueName: "time"))
    var tokenLife = TimeArgument(.seconds(15))

    @Option(
        help: ArgumentHelp(
            "What a provider does with a used refresh token: single_use, grace (30 s), or both with a comma: then there "
                + "is a provider for each.", valueName: "names"))
    var rotation = "single_use,grace"

    @Option(help: "When redis-server syncs its append-only file: everysec or always.")
    var fsync = Fsync.everysec

    @Option(help: ArgumentHelp("redis.durability of the instances, such as replicas:1.", valueName: "setting"))
    var durability: String?

    @Option(help: ArgumentHelp("Seed of the schedule and of the provider.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Only these faults, separated by commas.", valueName: "names"))
    var faults: String?

    @Option(help: ArgumentHelp("None of these faults, separated by commas.", valueName: "names"))
    var without: String?

    @Option(help: ArgumentHelp("Reads a second, over all instances.", valueName: "count"))
    var rate = 80

    @Option(help: "The perennial binary. Default: the one beside this program.")
    var perennial: String?

    @Option(help: ArgumentHelp("Write the report as JSON to this file too.", valueName: "file"))
    var report: String?

    @Flag(help: "Keep logs and data even when all is well.")
    var keep = false

    static func main() async {
        ProcessPreparation.run()
        await main(nil)
    }

    func validate() throws {
        func want(_ condition: Bool, _ message: String) throws {
            guard condition else { throw ValidationError(message) }
        }
        try want((2...9).contains(instances), "--instances has to be between 2 and 9, not \(instances)")
        try want((10...5000).contains(accounts), "--accounts has to be between 10 and 5,000, not \(accounts)")
        try want((1...5000).contains(rate), "--rate has to be between 1 and 5,000, not \(rate)")
        try want(duration.value >= .seconds(10), "--duration has to be at least 10s")
        try want(tokenLife.value >= .seconds(10), "--token-life has to be at least 10s")
        _ = try plan()
    }

    func run() async throws {
        let plan = try plan()
        let binary = try PerennialBinary.locate(perennial)
        let outcome = try await ChaosRun.perform(plan, perennial: binary, keepsFiles: keep)
        print(ReportText(report: outcome).text)
        if let report { try TextFile.write(try outcome.json() + "\n", to: report) }
        if !outcome.violations.isEmpty { throw ExitCode(1) }
    }

    private func plan() throws -> ChaosPlan {
        let rotations = try rotation.split(separator: ",").map { name in
            guard let rotation = Rotation(rawValue: String(name)) else {
                throw ValidationError("--rotation: there is no '\(name)': use single_use, grace, or both")
            }
            return rotation
        }
        guard !rotations.isEmpty, Set(rotations).count == rotations.count else {
            throw ValidationError("--rotation: name single_use, grace, or both, each once")
        }
        var plan = ChaosPlan(
            topology: topology, duration: duration.value, instances: instances, accounts: accounts,
            lifetime: tokenLife.value, rotations: rotations, fsync: fsync, durability: durability, seed: seed,
            rate: rate)
        if let faults { plan.faults = try Self.kinds(faults, option: "--faults", in: plan) }
        if let without {
            let unwanted = Set(try Self.kinds(without, option: "--without", in: plan))
            plan.faults.removeAll { unwanted.contains($0) }
        }
        guard !plan.faults.isEmpty else { throw ValidationError("no faults are left to inject") }
        return plan
    }

    private static func kinds(_ text: String, option: String, in plan: ChaosPlan) throws -> [FaultKind] {
        try text.split(separator: ",").map { name in
            guard let kind = FaultKind(rawValue: String(name)) else {
                let names = FaultKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("\(option): there is no fault '\(name)': use \(names)")
            }
            guard kind.isPossible(in: plan) else {
                throw ValidationError(
                    "\(option): \(kind.rawValue) is not possible with --topology \(plan.topology.rawValue) "
                        + "--fsync \(plan.fsync.rawValue)")
            }
            return kind
        }
    }
}

/// A time on the command line: `500ms`, `15s`, `10m`.
struct TimeArgument: ExpressibleByArgument, Sendable, Equatable {
    var value: Duration

    init(_ value: Duration) { self.value = value }

    init?(argument: String) {
        guard let value = DurationText.parse(argument) else { return nil }
        self.value = value
    }

    var defaultValueDescription: String { DurationText.format(value) }
}

extension Topology: ExpressibleByArgument {}
extension Fsync: ExpressibleByArgument {}
