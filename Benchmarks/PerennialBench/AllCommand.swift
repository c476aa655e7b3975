import ArgumentParser

/// Every suite, with a table at the end.
struct AllCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Run every measurement and print a table of what was required and what was met.")

    @OptionGroup var options: BenchOptions

    func run() async throws {
        try await options.run([
            IdleTickSuite(), RefusedSuite(), HerdSuite(dropsPublish: false), HerdSuite(dropsPublish: true),
            WarmReadsSuite(), DueBurstSuite(), GatewayOverheadSuite(), GatewayStreamsSuite(),
            HostedBudgetSuite(),
        ])
    }
}
