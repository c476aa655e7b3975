import ArgumentParser
import Perennial
import PerennialAPI
import PerennialConfiguration
import RefreshCore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial config check`
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The configuration.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check everything that serve would refuse, and show the effective configuration.",
            discussion: "Needs no Redis. Secrets are shown as \"set\" only.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let configuration = try options.load()
            var hasKeys = false
            if let path = configuration.authKeysFile {
                hasKeys = !(try CallerKeyFile(path: path).load().isEmpty)
            }
            try configuration.validateForServing(hasKeys: hasKeys)
            switch configuration.sealing {
            case .file(let path): _ = try KeyRing(file: path)
            case .key(let key): _ = try KeyRing(text: key.reveal(), source: "PERENNIAL_SEALING_KEY")
            case nil: break
            }
            if output.json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                let settings = Dictionary(configuration.settings.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
                Terminal.standardOutput(bytes: Array(try encoder.encode(settings)))
            } else {
                Terminal.standardOutput(configuration.describe())
                Terminal.standardError("the configuration is good")
            }
        }
    }
}
