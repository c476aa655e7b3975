import ArgumentParser

/// The entry point: parses, runs, and turns whatever happened into words on stderr and an exit code.
@main
struct Main {
    static func main() async {
        do {
            var command = try PerennialCommand.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Exit.now(for: error)
        }
    }
}

struct PerennialCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perennial",
        abstract: "Keeps the OAuth and API tokens of many accounts fresh, for a fleet that shares one Redis.",
        discussion: """
            Exit codes: 0 ok, 1 wrong usage or a problem of this machine, 2 Redis or a provider is not available, \
            3 an account needs a new log-in, 4 degraded.
            """,
        version: "perennial \(CommandVersion.text)",
        subcommands: [
            ServeCommand.self, DemoCommand.self, LoginCommand.self, AccountsCommand.self, TokenCommand.self,
            RefreshCommand.self, PoolsCommand.self, StatusCommand.self, ProvidersCommand.self, EventsCommand.self,
            WebhooksCommand.self,
            JournalCommand.self,
            KeysCommand.self, ConfigCommand.self, MCPCommand.self, MockProviderCommand.self,
        ])
}
