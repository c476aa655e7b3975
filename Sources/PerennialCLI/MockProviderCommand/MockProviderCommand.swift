import ArgumentParser
import Logging
import MockProvider
import PerennialConfiguration
import ServiceLifecycle

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `perennial mock-provider`: an identity provider to try things out against.
struct MockProviderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mock-provider",
        abstract: "Run an identity provider for trying things out. Never for real accounts.",
        discussion: """
            It rotates refresh tokens, notices their reuse, fails as it is told to, and keeps a ledger of every use of \
            every refresh token.

            Faults: KIND[:ARGUMENT][@FREQUENCY][,account=ID], such as error-after:502@0.05 (one in twenty token requests \
            gets 502 after the token was rotated), throttle:2s@x3 (the next three get 429), drop-after@x1,account=acct-7. \
            Kinds: \(MockFault.Kind.names.joined(separator: ", ")).
            """)

    @Option(help: ArgumentHelp("Where to listen: HOST:PORT, or unix:PATH.", valueName: "address"))
    var listen = "127.0.0.1:8799"

    @Option(
        help: ArgumentHelp(
            "What happens to a used refresh token: single_use, reusable or grace:TIME.", valueName: "rotation"))
    var rotation = RotationArgument(.singleUse)

    @Flag(help: "Do not revoke everything when a used refresh token comes again.")
    var noReuseDetection = false

    @Option(help: ArgumentHelp("Lifetime of access tokens.", valueName: "time"))
    var lifetime = DurationArgument(.seconds(3600))

    @Option(help: ArgumentHelp("Time that a token request takes.", valueName: "time"))
    var latency = DurationArgument(.milliseconds(5))

    @Option(help: ArgumentHelp("A random time on top, between zero and this.", valueName: "time"))
    var latencyJitter = DurationArgument(.zero)

    @Flag(help: "Answer refreshes without a refresh token (with reusable rotation only).")
    var omitRefreshToken = false

    @Flag(help: "Answer expires_in as a JSON string, as some providers do.")
    var expiresInAsString = false

    @Option(help: ArgumentHelp("The client that token requests have to name.", valueName: "id"))
    var clientID: String?

    @Option(help: ArgumentHelp("Environment variable with the secret that the client has to prove.", valueName: "name"))
    var clientSecretEnv: String?

    @Option(help: ArgumentHelp("How long the code of a device log-in is good for.", valueName: "time"))
    var deviceLifetime = DurationArgument(.seconds(600))

    @Option(help: ArgumentHelp("How long a device has to wait between two questions.", valueName: "time"))
    var deviceInterval = DurationArgument(.seconds(1))

    @Option(help: ArgumentHelp("Seed of the tokens and of everything random.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("A fault to play; may be repeated.", valueName: "fault"))
    var fault: [String] = []

    @Option(help: ArgumentHelp("Uses of refresh tokens that the ledger keeps in detail.", valueName: "count"))
    var ledgerCapacity = 1_000_000

    @Option(
        help: ArgumentHelp(
            "Accounts to make at the start, written as JSON lines for `perennial accounts import`.", valueName: "count")
    )
    var accounts = 0

    @Option(
        help: ArgumentHelp(
            "File for the accounts, made with mode 0600. Without it they go to standard output.", valueName: "path"))
    var accountsFile: String?

    @Option(help: ArgumentHelp("Name of the provider in the accounts' lines.", valueName: "name"))
    var provider = "mock"

    func validate() throws {
        _ = try providerConfiguration(environment: nil)
        guard (0...1_000_000).contains(accounts) else {
            throw ValidationError("--accounts has to be between 0 and 1,000,000, not \(accounts)")
        }
        guard accountsFile == nil || accounts > 0 else {
            throw ValidationError("--accounts-file needs --accounts")
        }
    }

    /// The options as the server wants them.
    ///
    /// - Parameter environment: nil to leave the secret out.
    /// - Throws: `ValidationError` naming the option.
    func providerConfiguration(environment: [String: String]?) throws -> MockProviderConfiguration {
        var configuration = MockProviderConfiguration(
            rotation: rotation.value, reuseDetection: !noReuseDetection, accessTokenLifetime: lifetime.value,
            latency: latency.value, latencyJitter: latencyJitter.value, omitRefreshToken: omitRefreshToken,
            expiresInAsString: expiresInAsString, clientID: clientID, seed: seed, ledgerCapacity: ledgerCapacity)
        configuration.deviceCodeLifetime = deviceLifetime.value
        configuration.deviceInterval = deviceInterval.value
        do {
            switch try ListenAddress(listen) {
            case .tcp(let host, let port): (configuration.host, configuration.port) = (host, port)
            case .unix(let path): configuration.unixSocket = path
            }
        } catch {
            throw ValidationError("--listen: \(error.description)")
        }
        if let name = clientSecretEnv {
            guard clientID != nil else { throw ValidationError("--client-secret-env needs --client-id") }
            if let environment {
                guard let secret = environment[name], !secret.isEmpty else {
                    throw ValidationError("--client-secret-env: the environment variable \(name) is not set, or empty")
                }
                configuration.clientSecret = secret
            }
        }
        do throws(MockProviderError) {
            configuration.faults = try fault.map { text throws(MockProviderError) in try MockFault(parsing: text) }
            try configuration.validate()
        } catch {
            throw ValidationError(error.message)
        }
        return configuration
    }

    func run() async throws {
        let configuration = try providerConfiguration(environment: ProcessInfo.processInfo.environment)
        var logger = Logger(label: "mock-provider") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let server = MockProviderServer(configuration: configuration, logger: logger)
        let services = ServiceGroup(services: [server], logger: logger)
        let (count, file, provider) = (accounts, accountsFile, provider)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await services.run()
                return true
            }
            group.addTask {
                for await _ in SignalStream() {
                    Terminal.standardError("stopping")
                    await services.triggerGracefulShutdown()
                }
                return false
            }
            group.addTask {
                let port = try await server.waitUntilListening()
                if count > 0 {
                    let lines = AccountLines.text(server.seedAccounts(count: count), provider: provider)
                    if let file {
                        try PrivateFile.write(lines, to: file)
                    } else {
                        Terminal.write(Array(lines.utf8), to: 1)
                    }
                }
                Self.announce(configuration, port: port, accounts: count)
                return false
            }
            // The first failure, or the end of the server, ends all; the others just end.
            while let isOver = try await group.next(), !isOver {}
            group.cancelAll()
        }
    }

    private static func announce(_ configuration: MockProviderConfiguration, port: Int, accounts: Int) {
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        let place = configuration.unixSocket.map { "unix:\($0)" } ?? "http://\(host):\(port)"
        let urls = [
            ("POST", "/oauth2/token", "refresh_token, client_credentials and the codes of log-ins"),
            ("GET", "/authorize", "log-in with a code (PKCE); /code shows it"),
            ("POST", "/device/code", "log-in on another device"),
            ("GET", "/resource", "answers the account of a valid access token"),
            ("GET", "/ledger?detail=1", "every use of every refresh token"),
            ("POST", "/admin/accounts", "{\"count\":10}: new accounts as JSON lines"),
            ("POST", "/admin/revoke", "{\"account\":\"acct-1\"}"),
            ("PUT", "/admin/faults", "the faults to play; also GET and DELETE"),
            ("PUT", "/admin/quota", "calls of each account until a 429: {\"calls\", \"refill\"}; also DELETE"),
            ("GET", "/admin/calls", "whose token each call carried"),
        ]
        var text = "Mock provider listening on \(place)\n"
        for (method, path, purpose) in urls {
            let verb = method + String(repeating: " ", count: max(1, 5 - method.count))
            text += "  \(verb) \(path)\(String(repeating: " ", count: max(1, 18 - path.count))) \(purpose)\n"
        }
        if accounts > 0 { text += "  \(accounts) accounts made\n" }
        Terminal.write(Array(text.utf8), to: 2)
    }
}
