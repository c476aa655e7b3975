import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The example of the library as a reader runs it: a backend with an instance inside, on its embedded Redis.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ExampleTests {
    @Test func theExampleHealsItsCalls() async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        let example = binary.replacing(/perennial$/, with: "ExampleBackend")
        let configuration = try Self.configuration()
        try await Workshop.with(perennial: binary) { workshop in
            let mock = try await MockProcess.start(workshop, latency: "10ms")
            let environment = [
                "BACKEND_STATE=\(workshop.path("state"))", "ACME_URL=http://127.0.0.1:\(mock.port)",
            ]
            let alice = try await mock.seed(1, prefix: "alice", areExpired: false, provider: "acme")
            let bob = try await mock.seed(1, prefix: "bob", areExpired: false, provider: "acme")
            let names = try [alice, bob].map { try JSONDecoder().decode(MockAccountLine.self, from: Data($0)).id }
            // The access token of the second was revoked; nobody but the API knows.
            let text = String(decoding: bob, as: UTF8.self)
                .replacing(/"access_token":"[^"]*"/, with: #""access_token":"revoked""#)
            let lines = workshop.path("accounts.jsonl")
            try TextFile.write(String(decoding: alice, as: UTF8.self) + text, to: lines)
            _ = try await workshop.run(
                "import", "/usr/bin/env",
                environment + [binary, "accounts", "import", "--config", configuration, lines], timeout: .seconds(60))

            let output = try await workshop.run(
                "example", "/usr/bin/env",
                environment + [example, configuration, "http://127.0.0.1:\(mock.port)"] + names,
                timeout: .seconds(60))
            for name in names { #expect(output.contains("\(name): {\"account\":\"\(name)\"}"), "\(output)") }
            let totals = try await mock.totals()
            #expect(totals.refreshes == 1)
            #expect(totals.resourceOK == 2)
            #expect(totals.resourceInvalid == 1)
        }
    }

    private static func configuration(file: String = #filePath) throws -> String {
        let root = file.components(separatedBy: "/Tests/IntegrationTests/").first ?? ""
        return "\(root)/Examples/Backend/perennial.yaml"
    }
}
