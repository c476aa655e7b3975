import ArgumentParser
import PerennialAPI
import PerennialConfiguration
import RefreshCore

/// `perennial keys create`
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Keys with which callers use the HTTP API.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key, and show it this once.",
            discussion:
                "The key is printed on stdout; the file (auth.keys_file) keeps only its hash. Running instances notice."
        )

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Option(help: "Who will use it.")
        var name: String

        @Option(help: "read, refresh or admin; may be given several times. refresh includes read, admin includes all.")
        var scope: [String] = ["read"]

        @Option(help: "The key file. Default: auth.keys_file of the configuration.")
        var file: String?

        func run() async throws {
            var scopes: Set<Scope> = []
            for text in scope {
                guard let scope = Scope(rawValue: text) else {
                    throw ValidationError("--scope is one of \(Scope.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                scopes.insert(scope)
            }
            guard let path = try file ?? options.load().authKeysFile else {
                throw ValidationError("no key file: set auth.keys_file in the configuration, or give --file")
            }
            let (text, key) = try CallerKeyFile(path: path).create(name: name, scopes: scopes, now: MachineClock.now)
            if output.json {
                Terminal.standardOutput("{\"id\":\"\(key.id)\",\"key\":\"\(text.reveal())\"}")
            } else {
                Terminal.standardOutput(text.reveal())
                Terminal.standardError("key \(key.id) for \(key.name) written to \(path); it is not shown again")
            }
        }
    }
}
