import ArgumentParser
import FoundationEssentials
import MockProvider
import Testing

@testable import PerennialCLI

struct DemoMockProviderTests {
    private static func configuration(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> MockProviderConfiguration {
        try MockProviderCommand.parse(arguments).providerConfiguration(environment: environment)
    }

    @Test func everyOptionArrives() throws {
        let configuration = try Self.configuration(
            [
                "--listen", "[::1]:9000", "--rotation", "grace:30s", "--no-reuse-detection", "--lifetime", "90s",
                "--latency", "20ms", "--latency-jitter", "5ms", "--client-id", "me", "--client-secret-env", "SECRET",
                "--seed", "7", "--fault", "error-after:502@0.05", "--fault", "throttle:2s@x3",
            ], environment: ["SECRET": "s3cret"])
        #expect(configuration.host == "::1")
        #expect(configuration.port == 9000)
        #expect(configuration.rotation == .grace(.seconds(30)))
        #expect(!configuration.reuseDetection)
        #expect(configuration.accessTokenLifetime == .seconds(90))
        #expect(configuration.latency == .milliseconds(20))
        #expect(configuration.latencyJitter == .milliseconds(5))
        #expect(configuration.clientID == "me")
        #expect(configuration.clientSecret == "s3cret")
        #expect(configuration.seed == 7)
        #expect(
            configuration.faults == [
                MockFault(.errorAfter(status: 502), .probability(0.05)),
                MockFault(.throttle(retryAfter: .seconds(2)), .next(3)),
            ])
        #expect(try Self.configuration(["--listen", "unix:/tmp/x.sock"]).unixSocket == "/tmp/x.sock")
        #expect(try Self.configuration(["--rotation", "reusable", "--omit-refresh-token"]).omitRefreshToken)
    }

    @Test(arguments: [
        ["--listen", "nowhere"], ["--rotation", "twice"], ["--rotation", "grace:"], ["--lifetime", "1"],
        ["--omit-refresh-token"], ["--client-secret-env", "SECRET"], ["--fault", "explode"], ["--accounts", "-1"],
        ["--accounts-file", "x"], ["--ledger-capacity", "0"],
    ])
    func nonsenseIsRefused(arguments: [String]) {
        #expect(throws: (any Error).self) { try MockProviderCommand.parse(arguments) }
    }

    @Test func aMissingSecretIsRefusedByName() {
        #expect {
            try Self.configuration(["--client-id", "me", "--client-secret-env", "NO_SUCH"])
        } throws: {
            "\($0)".contains("NO_SUCH")
        }
    }

    @Test func accountsAreWrittenForTheImport() throws {
        var state = MockProviderState(configuration: MockProviderConfiguration())
        let accounts = state.seedAccounts(
            count: 2, prefix: "a\"b-", first: 1, lifetime: .seconds(10), at: MockInstant(milliseconds: 1_999))
        let lines = AccountLines.text(accounts, provider: "demo").split(separator: "\n")
        struct Line: Decodable {
            var id: String
            var provider: String
            var refreshToken: String
            var accessToken: String
            var expiresAt: Int

            private enum CodingKeys: String, CodingKey {
                case id, provider
                case refreshToken = "refresh_token"
                case accessToken = "access_token"
                case expiresAt = "expires_at"
            }
        }
        let decoded = try lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        #expect(decoded.map(\.id) == ["a\"b-1", "a\"b-2"])
        #expect(decoded.map(\.expiresAt) == [11, 11])
        #expect(decoded.map(\.refreshToken) == accounts.map(\.refreshToken))
    }
}
