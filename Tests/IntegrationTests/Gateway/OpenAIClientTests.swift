import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// OpenAI's own client library with its base URL pointed at the gateway: it brings no token, and its calls succeed.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OpenAIClientTests {
    private struct Found: Decodable {
        var models: [String]
        var whole: String
        var streamed: String
        var chunks: Int
        var attempts: String?
        var account: String?
        var error: String?

        private enum CodingKeys: String, CodingKey {
            case models, whole, streamed, chunks, attempts, account, error
        }
    }

    private static let sentence = "A token a day keeps the outage away."

    @Test(
        "a token that has died, or has run out, is replaced before the client notices; answers come whole and as a stream",
        arguments: [false, true])
    func callsSucceed(isExpired: Bool) async throws {
        let port = try FreePort.find()
        let setup = CrashSite.Setup(more: { _ in
            """
            routes:
              openai:
                upstream: "http://127.0.0.1:\(port)/v1"
                account: openai

            """
        })
        try await CrashSite.run(setup) { site in
            let server = try await site.workshop.start(
                "openai-server", try PythonPeer.interpreter(),
                [PythonPeer.program("openai_server.py"), "--port", "\(port)", "--resource", site.mock.resourceURL])
            try await server.waitUntil("ready", timeout: .seconds(60)) { server.log.contains("ready \(port)") }

            var account = try await site.mock.seedOne("openai-", isExpired: isExpired)
            let seeded = account.id
            account.id = "openai"
            // Good by its date: only the upstream knows better.
            if !isExpired { account.accessToken = "revoked-meanwhile" }
            try await site.put(account)
            let output = try await site.workshop.run(
                "openai-calls", try PythonPeer.interpreter(),
                [
                    PythonPeer.program("openai_calls.py"), "--base-url", "\(site.instances[0].origin)/gw/openai",
                    "--upstream", "http://127.0.0.1:\(port)",
                ],
                timeout: .seconds(90))
            let line = try #require(output.split(separator: "\n").last { $0.hasPrefix("{") }, "\(output)")
            let found = try JSONDecoder().decode(Found.self, from: Data(line.utf8))
            #expect(found.models == ["perennial-1"])
            #expect(found.whole == Self.sentence)
            #expect(found.streamed == Self.sentence)
            // Each asked for when the one before had come: an answer that is held back to its end has none.
            #expect(found.chunks == 10)
            #expect(found.error == "there is no such thing")
            #expect(found.attempts == "1")
            #expect(found.account == "openai")

            let report = try await site.workshop.http.execute(CurlRequest(url: "http://127.0.0.1:\(port)/report"))
            let statuses = try JSONDecoder().decode([String: Int].self, from: Data(report.body))
            // The dead token was sent once; the expired one never.
            #expect(statuses["401"] == (isExpired ? nil : 1))
            #expect(statuses["empty"] == nil)
            #expect(try await site.mock.ledger().uses.count { $0.account == seeded } == 1)
        }
    }
}
