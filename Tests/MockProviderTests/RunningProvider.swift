import Logging
import ServiceLifecycle

@testable import MockProvider

extension Logger {
    static var quiet: Logger {
        var logger = Logger(label: "mock-provider-tests")
        logger.logLevel = .critical
        return logger
    }
}

/// Runs the server in a service group next to `body`, then shuts the group down and waits for it.
func withRunning<Result: Sendable>(
    _ server: MockProviderServer, _ body: @Sendable (MockProviderServer) async throws -> Result
) async throws -> Result {
    let group = ServiceGroup(configuration: .init(services: [server], logger: .quiet))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        do {
            let result = try await body(server)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return result
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
    }
}

let form = ["Content-Type": "application/x-www-form-urlencoded"]
let json = ["Content-Type": "application/json"]

func refreshForm(_ token: String) -> String {
    "grant_type=refresh_token&refresh_token=\(token)&client_id=backend"
}

/// Runs a provider for the length of `body` and stops it gracefully, whatever comes of it.
func withProvider<Result: Sendable>(
    _ configuration: MockProviderConfiguration = MockProviderConfiguration(),
    _ body: @Sendable (MockProviderServer, RawHTTPClient) async throws -> Result
) async throws -> Result {
    try await withRunning(MockProviderServer(configuration: configuration, logger: .quiet)) { server in
        let port = try await server.waitUntilListening()
        let target = configuration.unixSocket.map { RawHTTPClient.Target.unix($0) } ?? .port(port)
        return try await body(server, RawHTTPClient(target: target))
    }
}
