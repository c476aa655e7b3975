import ArgumentParser

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial demo`: a fleet at work, its leader killed half way, and a verdict.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show a fleet at work on this machine, kill its leader, and judge what happened.",
        discussion: """
            Starts a private redis-server, an identity provider that hands out single-use refresh tokens and revokes \
            everything when one is used twice, and several real instances. A reading load checks every token it is given. Half \
            way the leader is killed with SIGKILL. Everything that was started is stopped at the end, and nothing is left \
            behind.

            Exit codes: 0 PASS, 4 FAIL, 1 it could not be run.
            """)

    @Option(help: ArgumentHelp("Instances to start, 1 to 16.", valueName: "count"))
    var instances = 3

    @Option(help: ArgumentHelp("Accounts to keep fresh, 1 to 10000.", valueName: "count"))
    var accounts = 100

    @Option(help: ArgumentHelp("Lifetime of access tokens, at least 5s.", valueName: "time"))
    var lifetime = DurationArgument(.seconds(20))

    @Option(
        help: ArgumentHelp("How long the load runs: at least 10s, and one and a half lifetimes.", valueName: "time"))
    var duration = DurationArgument(.seconds(60))

    @Option(help: "What is killed half way. Default: leader, with one instance: none.")
    var kill: DemoPlan.Kill?

    @Option(help: ArgumentHelp("Reads a second, over all instances, 1 to 5000.", valueName: "count"))
    var readsPerSecond = 300

    @Flag(help: "Print the verdict as one JSON object on stdout.")
    var json = false

    @Flag(help: "Keep the directory with logs, configuration and data.")
    var keep = false

    func validate() throws {
        _ = try plan()
    }

    private func plan() throws -> DemoPlan {
        do throws(DemoPlan.Invalid) {
            return try DemoPlan(
                instances: instances, accounts: accounts, lifetime: lifetime.value, duration: duration.value,
                kill: kill,
                readsPerSecond: readsPerSecond)
        } catch {
            throw ValidationError(error.description)
        }
    }

    func run() async throws {
        let plan = try plan()
        let environment = ProcessInfo.processInfo.environment
        let display = DemoDisplay(
            isLive: !json && Console.isInteractive(2, environment: environment),
            hasColour: Console.wantsColour(environment))
        let verdict = try await DemoRun(plan: plan, environment: environment, keepsFiles: keep, display: display).run()
        if json {
            Terminal.standardOutput(verdict.json)
        } else {
            let hasColour = Console.isInteractive(1, environment: environment) && Console.wantsColour(environment)
            for line in verdict.report(hasColour: hasColour) { Terminal.standardOutput(line) }
        }
        guard verdict.hasPassed else { throw ExitCode(CommandFailure.Code.degraded.rawValue) }
    }
}

extension DemoPlan.Kill: ExpressibleByArgument {}
