import CurlClient
import MockProvider
import PerennialServers
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An assistant's client from PyPI against the real binary, by both transports.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct MCPTests {
    private static let tools = ["list_accounts", "pool_status", "refresh_token", "token_status"]

    private struct Account: Decodable {
        var outcome: String?
        var generation: Int
        var valid: Bool?
    }

    private struct Pools: Decodable {
        struct Pool: Decodable {
            var name: String
            var accounts: Int
            var available: Int
            var members: [Member]?
        }
        struct Member: Decodable {
            var account: String
            var state: String
        }
        var pools: [Pool]
    }

    private func read<Value: Decodable>(_ answer: MCPClient.Answer) throws -> Value {
        try #require(!answer.error, "\(answer.text)")
        return try JSONDecoder().decode(Value.self, from: Data(answer.structured.utf8))
    }

    /// Everything that an assistant does, in one session.
    private static func calls(_ alice: String) -> [MCPClient.Call] {
        [
            .init(tool: "list_accounts", arguments: [:]),
            .init(tool: "token_status", arguments: ["account": .text(alice)]),
            .init(tool: "refresh_token", arguments: ["account": .text(alice), "if_generation": 1]),
            .init(tool: "refresh_token", arguments: ["account": .text(alice), "if_generation": 1]),
            .init(tool: "pool_status", arguments: [:]),
            .init(tool: "pool_status", arguments: ["pool": "warp"]),
            .init(tool: "token_status", arguments: ["account": "nobody"]),
        ]
    }

    private func check(_ client: MCPClient, _ site: OneAccountSite) async throws {
        #expect(client.greeting.server == "perennial")
        #expect(client.greeting.version == "2025-11-25")
        #expect(client.greeting.tools == Self.tools)
        let answers = client.answers
        #expect(answers[0].structured.contains("\"\(site.alice.id)\""))
        let before: Account = try read(answers[1])
        #expect(before.valid == true && before.generation == 1)
        let refreshed: Account = try read(answers[2])
        #expect(refreshed.outcome == "refreshed" && refreshed.generation == 2)
        let repeated: Account = try read(answers[3])
        #expect(repeated.outcome == "already_newer" && repeated.generation == 2)
        let all: Pools = try read(answers[4])
        #expect(all.pools.map(\.name) == ["warp"])
        let one: Pools = try read(answers[5])
        #expect(one.pools.first?.members?.map(\.account) == [site.alice.id])
        #expect(answers[6].error)
        #expect(answers[6].text.contains("account_not_found"))
        #expect(try await site.mock.totals().refreshes == 1)
        let tokens = [site.alice.accessToken, site.alice.refreshToken].compactMap { $0 }
        for answer in answers {
            for token in tokens { #expect(!answer.text.contains(token) && !answer.structured.contains(token)) }
        }
    }

    @Test(arguments: ["auto", "legacy"])
    func overHTTP(mode: String) async throws {
        try await OneAccountSite.run { site in
            let instance = try await PerennialInstance.start(site.workshop, configuration: site.configuration)
            let client = try await MCPClient.run(
                site.workshop, Self.calls(site.alice.id), options: ["--mode", mode, "--url", "\(instance.origin)/mcp"])
            try await check(client, site)
        }
    }

    @Test func overStandardInputAndOutput() async throws {
        try await OneAccountSite.run { site in
            let command = [
                site.workshop.perennial, "mcp", "--config", site.configuration, "--state-dir",
                site.workshop.path("state-mcp"),
            ]
            let client = try await MCPClient.run(
                site.workshop, Self.calls(site.alice.id), options: ["--"] + command)
            try await check(client, site)
            let reader = try await MCPClient.run(site.workshop, [], options: ["--"] + command + ["--read-only"])
            #expect(reader.greeting.tools == Self.tools.filter { $0 != "refresh_token" })
        }
    }

    @Test func withACallersKey() async throws {
        try await OneAccountSite.run { site in
            let (key, configuration) = try await site.withKey()
            let instance = try await PerennialInstance.start(site.workshop, configuration: configuration)
            let client = try await MCPClient.run(
                site.workshop,
                [.init(tool: "refresh_token", arguments: ["account": .text(site.alice.id), "if_generation": 1])],
                options: ["--url", "\(instance.origin)/mcp", "--key", key])
            #expect(client.greeting.tools == Self.tools.filter { $0 != "refresh_token" })
            #expect(client.answers[0].error)
            #expect(client.answers[0].text.contains("scope"))
            #expect(try await site.mock.totals().refreshes == 0)
        }
    }

    /// As assistants end their servers, in the middle of a rotation: it lands, and the next one finds the new token.
    @Test func aRotationUnderWayLandsWhenTheAssistantLeaves() async throws {
        try await CrashSite.run { site in
            let account = try await site.add()
            site.holdAnswer()
            let pipe = site.workshop.path("stdin")
            let command = """
                mkfifo "$0" && exec "$1" mcp --config "$2" --state-dir "$3" <> "$0"
                """
            let server = try await site.workshop.start(
                "mcp", "sh",
                [
                    "-c", command, pipe, site.workshop.perennial, site.workshop.path("perennial-1.yaml"),
                    site.workshop.path("state-mcp"),
                ])
            try await eventually("the pipe is there") { FileManager.default.fileExists(atPath: pipe) }
            let call = """
                {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refresh_token","arguments":\
                {"account":"\(account)","if_generation":1}}}

                """
            let message = site.workshop.path("message")
            try TextFile.write(call, to: message)
            _ = try await site.workshop.run(
                "cat", "sh", ["-c", #"cat "$0" > "$1""#, message, pipe], timeout: .seconds(60))
            try await eventually("the token is spent") { try await site.mock.ledger().uses.count == 1 }
            await server.send(SIGTERM)
            // Time for it to hear of that.
            try await Task.sleep(for: .milliseconds(300))
            site.letAnswersPass()
            try await server.waitUntilEnded(timeout: .seconds(60))
            #expect(server.log.contains("refreshed"), "the answer was still given")
            try await eventually("the other one has the new token") { await site.read(account).generation == 2 }
            #expect(try await site.mock.ledger().uses.count == 1)
        }
    }
}
