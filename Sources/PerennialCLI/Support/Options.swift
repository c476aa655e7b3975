import ArgumentParser
import Logging
import Perennial
import PerennialConfiguration
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Which configuration a command works with.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "The configuration file (YAML). Default: PERENNIAL_CONFIG, else none: the embedded default.")
    var config: String?

    @Option(help: "Where journal, sealing key and embedded Redis are kept.")
    var stateDir: String?

    /// - Throws: `ConfigurationError` naming every key and line that is wrong.
    func load(listen: [String] = [], proactive: Bool? = nil) throws -> PerennialConfiguration {
        let environment = ProcessInfo.processInfo.environment
        let named = environment["PERENNIAL_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
        return try PerennialConfiguration.load(
            file: config ?? named, environment: environment,
            overrides: .init(listen: listen, stateDirectory: stateDir, proactive: proactive))
    }

    /// Runs `body` against the fleet's store.
    func withStore<Result: Sendable>(
        _ body: @Sendable @escaping (Instance) async throws -> Result
    ) async throws -> Result {
        let configuration = try load()
        // Commands speak through their results and errors; the log is for what is worse than that.
        let logger = LogSetup.logger(level: .error, format: configuration.logFormat)
        let instance = try await Instance.assemble(configuration, role: .command, logger: logger)
        return try await instance.withStore(logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }, body)
    }
}

struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON on stdout.")
    var json = false
}

extension AccountID: ExpressibleByArgument {
    public init?(argument: String) { try? self.init(argument) }
}

extension AttemptID: ExpressibleByArgument {
    public init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(rawValue: argument)
    }
}

extension ProviderName: ExpressibleByArgument {
    public init?(argument: String) { try? self.init(argument) }
}
