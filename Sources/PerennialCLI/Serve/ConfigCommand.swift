import ArgumentParser
import Perennial
import PerennialAPI
import PerennialConfiguration
import RefreshCore
import Sealing

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
                let pairs = configuration.settings.map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
                Terminal.standardOutput("{\(pairs.joined(separator: ","))}")
            } else {
                Terminal.standardOutput(configuration.describe())
                Terminal.standardError("the configuration is good")
            }
        }

        private static func quoted(_ text: String) -> String {
            var quoted = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": quoted += "\\\""
                case "\\": quoted += "\\\\"
                case _ where scalar.value < 0x20:
                    quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                default: quoted.unicodeScalars.append(scalar)
                }
            }
            return quoted + "\""
        }
    }
}
