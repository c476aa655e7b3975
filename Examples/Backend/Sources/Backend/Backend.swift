import Logging
import Perennial
import ServiceLifecycle
import UnixSignals

/// A backend that calls an API on behalf of its users: `backend CONFIGURATION API-URL ACCOUNT…`.
///
/// Perennial is one service of its group, and started before the one that asks it for tokens.
@main
struct Backend {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count >= 3 else {
            print("usage: backend CONFIGURATION API-URL ACCOUNT…")
            return
        }
        var logger = Logger(label: "backend") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning

        let perennial = try await PerennialClient(file: arguments[1], logger: logger)
        let report = Report(
            api: AcmeAPI(url: arguments[2]), accounts: Array(arguments.dropFirst(2)), perennial: perennial)

        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: perennial),
                    .init(service: report, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }
}

/// Asks the API about each account.
struct Report: Service {
    let api: AcmeAPI
    let accounts: [String]
    let perennial: PerennialClient

    func run() async throws {
        for account in accounts {
            do {
                // A token that the API refuses is replaced, and the call is made once more.
                let answer = try await perennial.withToken(for: account) { token in
                    try await api.whoAmI(token)
                }
                print("\(account): \(answer)")
            } catch let error as PerennialError where error.remedy == .logInAgain {
                print("\(account): somebody has to log in again")
            }
        }
    }
}
