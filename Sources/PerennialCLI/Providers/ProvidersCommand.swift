import ArgumentParser
import ConfigurationFile
import JSONText
import PerennialConfiguration
import Providers
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial providers …`
struct ProvidersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "providers", abstract: "List, show and try the providers of the configuration.",
        subcommands: [List.self, Show.self, ProviderTestCommand.self])

    /// - Throws: ``CommandFailure`` naming the providers that there are.
    static func find(_ name: ProviderName, in catalog: ProviderCatalog) throws -> ProviderDefinition {
        if let definition = catalog[name] { return definition }
        let known = catalog.providers.map(\.rawValue)
        if PresetLibrary.names.contains(name.rawValue) {
            throw CommandFailure(
                .local,
                "no provider \(name) is configured; there is a preset of that name: see perennial providers show --preset \(name)"
            )
        }
        let hint = EditDistance.nearest(to: name.rawValue, among: known).map { "did you mean \($0)?" }
        throw CommandFailure(
            .local,
            "no provider \(name) is configured; "
                + (hint ?? (known.isEmpty ? "there are none" : "there are \(known.joined(separator: ", "))")))
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The providers of the configuration, or the presets that there are.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Flag(help: "The presets, and what each of them needs, instead.")
        var presets = false

        struct Entry: Encodable {
            var name: String
            var preset: String
            var tokenURL: String
            var account: [String]
            var rotation: String

            enum CodingKeys: String, CodingKey {
                case name, preset, account, rotation
                case tokenURL = "token_url"
            }
        }

        struct PresetEntry: Encodable {
            var name: String
            var requires: [PresetLibrary.Requirement]
        }

        func run() async throws {
            if presets { return try listPresets() }
            let definitions = try options.load().providers.definitions
            if output.json {
                return try ProvidersCommand.print(
                    definitions.map { definition in
                        Entry(
                            name: definition.name.rawValue, preset: definition.preset, tokenURL: definition.shownURL,
                            account: definition.accountFields ?? ["refresh_token"],
                            rotation: definition.rotation.description)
                    })
            }
            var table = Table(["PROVIDER", "PRESET", "AN ACCOUNT IS", "ROTATION", "TOKEN URL"])
            for definition in definitions {
                let fields = definition.accountFields.map { $0.isEmpty ? "a name" : $0.joined(separator: ", ") }
                table.add([
                    definition.name.rawValue, definition.preset, fields ?? "a refresh token",
                    definition.rotation.description, definition.shownURL,
                ])
            }
            table.lines.forEach(Terminal.standardOutput)
            if definitions.isEmpty {
                Terminal.standardError(
                    "no providers are configured; perennial providers list --presets shows what there is")
            }
        }

        private func listPresets() throws {
            let entries = PresetLibrary.names.map {
                PresetEntry(name: $0, requires: PresetLibrary.requirements($0))
            }
            if output.json { return try ProvidersCommand.print(entries) }
            var table = Table(["PRESET", "NEEDS"])
            for entry in entries { table.add([entry.name, entry.requires.map(\.key).joined(separator: ", ")]) }
            table.lines.forEach(Terminal.standardOutput)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the effective definition of a provider, or a preset.",
            discussion: """
                As YAML that could stand in the configuration. A remark says of each value whether it comes from the \
                preset, the configuration or nowhere; secrets are ***.
                """)

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "A provider of the configuration.")
        var provider: ProviderName?

        @Option(help: "A preset, as it ships.")
        var preset: String?

        func validate() throws {
            guard (provider == nil) != (preset == nil) else {
                throw ValidationError("give the name of a provider, or --preset NAME")
            }
        }

        func run() async throws {
            if let preset { return try show(preset: preset) }
            guard let provider else { return }
            let definition = try ProvidersCommand.find(provider, in: try options.load().providers)
            if output.json {
                Terminal.standardOutput(definition.json.serialized)
            } else {
                Terminal.standardOutput("providers:")
                definition.yamlLines.forEach { Terminal.standardOutput("  \($0)") }
            }
        }

        private func show(preset name: String) throws {
            guard let text = PresetLibrary.text(name) else {
                let hint = EditDistance.nearest(to: name, among: PresetLibrary.names).map { "did you mean \($0)?" }
                throw CommandFailure(
                    .local,
                    "no preset \(Quoted.text(name)); "
                        + (hint ?? "there are \(PresetLibrary.names.joined(separator: ", "))"))
            }
            if output.json {
                struct Document: Encodable {
                    var preset: String
                    var requires: [PresetLibrary.Requirement]
                    var yaml: String
                }
                return try ProvidersCommand.print(
                    Document(preset: name, requires: PresetLibrary.requirements(name), yaml: text))
            }
            Terminal.write(Array(text.utf8), to: 1)
        }
    }

    static func print(_ document: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Terminal.standardOutput(bytes: Array(try encoder.encode(document)))
    }
}
