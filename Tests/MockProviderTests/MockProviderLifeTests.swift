import FoundationEssentials
import Testing

@testable import MockProvider

@Suite("Life of the provider", .timeLimit(.minutes(10)))
struct MockProviderLifeTests {
    @Test func itServesOnAUnixSocketAndRemovesIt() async throws {
        let path = "\(temporaryDirectoryPath())/mock-\(UInt64.random(in: 0 ... .max)).sock"
        try await withProvider(MockProviderConfiguration(unixSocket: path)) { server, client in
            let reply = try await client.send("GET", "/livez")
            #expect(reply.status == 200 && server.port == 0)
            #expect(FileManager.default.fileExists(atPath: path))
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func aTakenPortIsAClearErrorForRunAndWait() async throws {
        try await withProvider { server, _ in
            let port = try #require(server.port)
            let second = MockProviderServer(configuration: MockProviderConfiguration(port: port), logger: .quiet)
            let waiting = Task { try await second.waitUntilListening() }
            let error = await #expect(throws: MockProviderError.self) { try await second.run() }
            #expect(error?.code == .listenFailed)
            #expect(error?.message.contains("127.0.0.1:\(port)") == true)
            await #expect(throws: MockProviderError.self) { _ = try await waiting.value }
        }
    }

    @Test func anInvalidConfigurationDoesNotStart() async throws {
        let server = MockProviderServer(configuration: MockProviderConfiguration(port: -1), logger: .quiet)
        let error = await #expect(throws: MockProviderError.self) { try await server.run() }
        #expect(error?.code == .invalidConfiguration)
        let again = await #expect(throws: MockProviderError.self) { try await server.run() }
        #expect(again?.code == .stopped)
    }

    @Test func cancellingTheTaskStopsIt() async throws {
        let server = MockProviderServer(configuration: MockProviderConfiguration(), logger: .quiet)
        let running = Task { try await server.run() }
        _ = try await server.waitUntilListening()
        running.cancel()
        try await running.value
        #expect(server.port == nil)
        await #expect(throws: MockProviderError.self) { _ = try await server.waitUntilListening() }
    }

    @Test func aWaiterCanBeCancelled() async throws {
        let server = MockProviderServer(configuration: MockProviderConfiguration(), logger: .quiet)
        let waiter = Task { try await server.waitUntilListening() }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { _ = try await waiter.value }
    }

    @Test func aHangDoesNotDelayShutdown() async throws {
        let configuration = MockProviderConfiguration(faults: [MockFault(.hangBefore(.seconds(3600)))])
        let elapsed = try await ContinuousClock().measure {
            try await withProvider(configuration) { server, client in
                let token = server.seedAccounts(count: 1)[0].refreshToken
                let hanging = Task {
                    try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(token))
                }
                while server.totals().tokenRequests == 0 { try await Task.sleep(for: .milliseconds(1)) }
                _ = hanging
            }
        }
        #expect(elapsed < .seconds(600))
    }
}

private func temporaryDirectoryPath() -> String {
    FileManager.default.temporaryDirectory.path
}
