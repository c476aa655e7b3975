import CurlClient
import Logging
import MockProvider
import Perennial
import ServiceLifecycle
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A client of the library on its embedded redis-server, and the mock provider over real HTTP.
struct ClientSite: Sendable {
    /// Short, because of the socket in it.
    let directory: String
    let mock: MockProviderServer
    let port: Int
    private let http: CurlClient

    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// - Parameter latency: of the provider's answers.
    static func run(
        latency: Duration = .milliseconds(20), _ body: @Sendable (ClientSite) async throws -> Void
    ) async throws {
        let directory = "/tmp/prn-lib-\(UInt32.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let mock = MockProviderServer(
            configuration: MockProviderConfiguration(port: 0, rotation: .singleUse, latency: latency),
            logger: quiet)
        let http = CurlClient()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            let group = ServiceGroup(services: [mock], logger: quiet)
            tasks.addTask { try await group.run() }
            let port = try await mock.waitUntilListening()
            let site = ClientSite(directory: directory, mock: mock, port: port, http: http)
            let result: Result<Void, any Error>
            do { result = .success(try await body(site)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            await http.shutdown()
            try result.get()
        }
    }

    var configuration: PerennialClient.Configuration {
        var configuration = PerennialClient.Configuration(stateDirectory: directory)
        configuration.providers["mock"] = [
            "preset": "oauth2", "token_url": "http://127.0.0.1:\(port)/oauth2/token", "client_id": "test",
            "client_auth": "none", "rotation": "single_use",
            // So that a busy machine does not end what it is slow with.
            "send_by": "20s", "exchange_deadline": "60s", "lock_ttl": "120s",
        ]
        return configuration
    }

    /// Connects, and shuts down whatever happens.
    func withClient(_ body: (PerennialClient) async throws -> Void) async throws {
        let client = try await Perennial.connect(configuration, logger: Self.quiet)
        let result: Result<Void, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.shutdown()
        try result.get()
    }

    /// Grants an account at the provider and adds it. With another access token than the provider's it looks fine until
    /// somebody uses it.
    @discardableResult
    func add(_ name: String, to client: PerennialClient, accessToken: String? = nil) async throws -> String {
        let account = try #require(mock.seedAccounts(count: 1, prefix: name).first)
        try await client.addAccount(
            account.id, provider: "mock", refreshToken: account.refreshToken,
            accessToken: accessToken ?? account.accessToken, expiresAt: Date(timeIntervalSinceNow: 3600))
        return account.id
    }

    /// Calls the provider's API.
    ///
    /// - Throws: `TokenRefused` where that answers 401.
    func call(_ token: AccessToken) async throws -> Int {
        let answer = try await http.execute(
            CurlRequest(
                url: "http://127.0.0.1:\(port)/resource", headers: [("Authorization", token.revealAuthorization())],
                totalTimeout: .seconds(30)))
        if answer.status == 401 { throw TokenRefused("401") }
        return answer.status
    }
}
