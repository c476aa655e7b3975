import PerennialConfiguration
import Providers
import RefreshCore
import Testing

@testable import Perennial

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A configuration in code says the same as a file, and shows nothing of what is in it.
struct ConfigurationTests {
    @Test func theSameAsInAFile() throws {
        var configuration = PerennialClient.Configuration(
            stateDirectory: "/tmp/state", redisURL: "redis://127.0.0.1:6379/3", sealingKey: "key")
        configuration.providers["acme"] = [
            "preset": "oauth2", "token_url": "https://id.example.com/token", "client_id": "backend",
            "client_secret": "a$b${HOME} \"quoted\" \\ #no comment: &anchor *alias\u{1F511}",
            "rotation": ["grace": "30s"],
            "skew": "60s",
        ]
        configuration.more["refresh"] = ["proactive": false, "interval": "10m"]
        let read = try configuration.checked()
        #expect(read.stateDirectory == "/tmp/state")
        #expect(read.redis.url?.reveal() == "redis://127.0.0.1:6379/3")
        #expect(read.sealing == .key(Secret("key")))
        #expect(!read.refresh.proactive)
        #expect(read.refresh.interval == .seconds(600))
        let acme = try #require(read.providers.definitions.first)
        #expect(
            acme.clientSecret?.reveal() == "a$b${HOME} \"quoted\" \\ #no comment: &anchor *alias\u{1F511}")
    }

    @Test func whatIsWrongIsNamedByItsKey() throws {
        var configuration = PerennialClient.Configuration(stateDirectory: "/tmp/state")
        configuration.providers["acme"] = ["preset": "oauth2", "client_ID": "geheim", "skew": "6x"]
        let error = #expect(throws: (any Error).self) { try configuration.checked() }
        let text = "\(try #require(error))"
        #expect(text.contains("providers.acme.client_ID"))
        #expect(text.contains("providers.acme.skew"))
        #expect(!text.contains("geheim"))
        #expect(!text.contains("yaml:"))
    }

    @Test func nothingIsGivenTwice() {
        var configuration = PerennialClient.Configuration(stateDirectory: "/tmp/state", redisURL: "redis://a")
        configuration.more["redis"] = ["prefix": "other"]
        #expect(throws: (any Error).self) { try configuration.checked() }
        configuration = .init(stateDirectory: "/tmp/state")
        configuration.more["redis"] = ["prefix": "one", "prefix": "two"]
        #expect(throws: (any Error).self) { try configuration.checked() }
    }

    @Test func noSecretIsPrinted() {
        var configuration = PerennialClient.Configuration(redisURL: "redis://:geheim@host", sealingKey: "geheim")
        configuration.providers["acme"] = ["client_secret": "geheim"]
        for text in shown(configuration) + shown(configuration.providers) {
            #expect(!text.contains("geheim"))
        }
        #expect("\(configuration)".contains("acme"))
    }

    @Test func noTokenIsPrinted() throws {
        let snapshot = AccountSnapshot(
            id: try AccountID("alice"), provider: try ProviderName("acme"), generation: Generation(7),
            accessToken: Secret("geheim"), expiresAt: WallTime(milliseconds: 1500),
            createdAt: WallTime(milliseconds: 0), updatedAt: WallTime(milliseconds: 0))
        let token = AccessToken(try #require(TokenAnswer(snapshot, source: .memory, isStale: false)))
        for text in shown(token) + shown([token]) { #expect(!text.contains("geheim")) }
        #expect("\(token)" == "access token of account alice, generation 7")
        #expect(token.reveal() == "geheim")
        #expect(token.revealAuthorization() == "Bearer geheim")
        #expect(token.expiresAt?.timeIntervalSince1970 == 1.5)
    }

    private func shown(_ value: some Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return ["\(value)", String(reflecting: value), dumped]
    }
}
