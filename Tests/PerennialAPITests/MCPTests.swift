import JSONText
import RefreshCore
import Testing

@testable import PerennialAPI

/// `POST /mcp` as the wire has it; an independent client is asked in IntegrationTests.
@Suite struct MCPTests {
    private func post(
        _ client: Client, _ body: String, headers: [String] = ["Accept: application/json, text/event-stream"]
    ) async throws -> RawResponse {
        try await client.send("POST", "/mcp", headers: headers + ["Content-Type: application/json"], body: body)
    }

    private func value(_ response: RawResponse) throws -> JSONValue {
        try JSONReader.parse(Array(response.body.utf8))
    }

    /// The result of a tool.
    private func use(_ client: Client, _ tool: String, _ arguments: String) async throws -> (JSONValue, isError: Bool) {
        let response = try await post(
            client,
            #"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"\#(tool)","arguments":\#(arguments)}}"#)
        #expect(response.status == 200)
        let result = try #require(try value(response)["result"])
        if result["isError"] == .bool(true) {
            guard case .array(let parts)? = result["content"], let text = parts.first?["text"] else {
                return (.null, true)
            }
            return (text, true)
        }
        let structured = try #require(result["structuredContent"])
        // The same for clients that know no structured content.
        guard case .array(let parts)? = result["content"], case .string(let text)? = parts.first?["text"] else {
            return (.null, false)
        }
        #expect(try JSONReader.parse(Array(text.utf8)) == structured)
        return (structured, false)
    }

    @Test(arguments: [
        ("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"), ("2199-01-01", "2025-11-25"),
    ])
    func theRevisionIsNegotiated(wanted: String, got: String) async throws {
        let house = try House()
        try await house.serve { client async throws in
            let response = try await post(
                client,
                #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"\#(wanted)","#
                    + #""capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#)
            #expect(response.status == 200)
            #expect(response.headers["content-type"] == "application/json")
            #expect(response.headers["mcp-session-id"] == nil)
            let answer = try value(response)
            #expect(answer["id"] == .integer(0))
            #expect(answer["result"]?["protocolVersion"] == .string(got))
            #expect(answer["result"]?["capabilities"]?["tools"] == .object([]))
            #expect(answer["result"]?["serverInfo"]?["name"] == .string("perennial"))
        }
    }

    @Test func notificationsAreTakenWithoutAnAnswer() async throws {
        let house = try House()
        try await house.serve { client async throws in
            for body in [
                #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#,
                #"{"jsonrpc":"2.0","id":4,"result":{}}"#,
            ] {
                let response = try await post(client, body)
                #expect(response.status == 202)
                #expect(response.body.isEmpty)
            }
        }
    }

    /// Some clients write null for what they leave out.
    @Test func nullIsAsGoodAsNothing() async throws {
        let house = try House()
        try await house.serve { client async throws in
            for body in [
                #"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
                #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":null}}"#,
                #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_accounts","arguments":null}}"#,
            ] {
                let response = try await post(client, body)
                #expect(try value(response)["result"] != nil, "\(response.body)")
                #expect(try value(response)["result"]?["isError"] != .bool(true))
            }
        }
    }

    @Test func aMessageThatIsTooLongIsSaidToBe() async throws {
        let house = try House()
        let bytes = Array(repeating: UInt8(ascii: " "), count: MCPServer.maximumMessage + 1)
        let answer = await MCPServer(backend: house.backend).answer(bytes) { _ in true }
        #expect(String(decoding: try #require(answer), as: UTF8.self).contains("more than 262144 bytes"))
    }

    @Test func thereAreNoStreamsAndNoSessions() async throws {
        let house = try House()
        try await house.serve { client async throws in
            for method in ["GET", "DELETE", "PUT"] {
                let response = try await client.send(method, "/mcp", headers: ["Accept: text/event-stream"])
                #expect(response.status == 405)
                #expect(response.headers["allow"] == "POST")
            }
            let stream = try await post(client, "{}", headers: ["Accept: text/event-stream"])
            #expect(stream.status == 406)
        }
    }

    @Test(arguments: [
        ("{", -32700), ("3", -32600), ("[]", -32600), (#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#, -32601),
        (#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}}"#, -32602),
        (#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, -32602),
        (#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"2"}}"#, -32602),
    ])
    func whatIsNoRequestGetsAnErrorOfTheProtocol(body: String, code: Int64) async throws {
        let house = try House()
        try await house.serve { client async throws in
            let response = try await post(client, body)
            #expect(response.status == 200)
            #expect(try value(response)["error"]?["code"] == .integer(code))
        }
    }

    @Test func batchesAreOfTheFirstRevisionOnly() async throws {
        let house = try House()
        let batch =
            #"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},"#
            + #"{"jsonrpc":"2.0","id":"two","method":"nothing"}]"#
        try await house.serve { client async throws in
            let response = try await post(client, batch)
            guard case .array(let answers) = try value(response) else { throw TimedOut(received: response.body) }
            #expect(answers.map { $0["id"] } == [.integer(1), .string("two")])
            let later = try await post(
                client, batch, headers: ["Accept: */*", "MCP-Protocol-Version: 2025-06-18"])
            #expect(try value(later)["error"]?["code"] == .integer(-32600))
            let silent = try await post(client, #"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#)
            #expect(silent.status == 202)
        }
    }

    @Test func anUnknownRevisionInTheHeaderIsRefused() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let response = try await post(
                client, #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
                headers: ["Accept: */*", "MCP-Protocol-Version: 2199-01-01"])
            #expect(response.status == 400)
            let error = try #require(try value(response)["error"])
            #expect(error["code"] == .integer(-32022))
            #expect(
                error["data"]?["supported"]
                    == .array([.string("2025-03-26"), .string("2025-06-18"), .string("2025-11-25")]))
        }
    }

    /// With keys too, which a page could have been given.
    @Test func pagesOfOtherOriginsAreRefused() async throws {
        let house = try House()
        let ping = #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#
        try await house.serve { client async throws in
            let foreign = try await post(client, ping, headers: ["Accept: */*", "Origin: https://evil.example"])
            #expect(foreign.status == 403)
            let own = try await post(
                client, ping, headers: ["Accept: */*", "Host: localhost", "Origin: http://localhost"])
            #expect(own.status == 200)
        }
        let (keys, texts) = try house.keys(.read)
        try await house.serve(keys: keys) { client async throws in
            let key = "X-Perennial-Key: \(texts[0])"
            let foreign = try await post(client, ping, headers: ["Accept: */*", key, "Origin: https://evil.example"])
            #expect(foreign.status == 403)
            let none = try await post(client, ping, headers: ["Accept: */*", key])
            #expect(none.status == 200)
        }
    }

    @Test func aKeyWithoutTheScopeIsToldByTheTool() async throws {
        let house = try House()
        try house.add("alice")
        let (keys, texts) = try house.keys(.read, .refresh)
        let list = #"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#
        let call =
            #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refresh_token","#
            + #""arguments":{"account":"alice","if_generation":17}}}"#
        try await house.serve(keys: keys) { client async throws in
            #expect(try await post(client, list).status == 401)
            let reader = ["Accept: */*", "Authorization: Bearer \(texts[0])"]
            #expect(!(try await post(client, list, headers: reader)).body.contains("refresh_token\",\"title"))
            let refused = try value(try await post(client, call, headers: reader))
            #expect(refused["result"]?["isError"] == .bool(true))
            #expect(house.fleet.begins.isEmpty)
            let refresher = ["Accept: */*", "Authorization: Bearer \(texts[1])"]
            #expect((try await post(client, list, headers: refresher)).body.contains("refresh_token\",\"title"))
            let done = try value(try await post(client, call, headers: refresher))
            #expect(done["result"]?["structuredContent"]?["generation"] == .integer(18))
        }
    }

    @Test func accountsAndTheirTokensAreDescribedWithoutThem() async throws {
        let house = try House()
        try house.add("alice", token: "at-geheim")
        try house.add("bob", token: nil) { $0.status = .degraded }
        try await house.serve { client async throws in
            let (list, _) = try await use(client, "list_accounts", "{}")
            guard case .array(let accounts)? = list["accounts"] else { throw TimedOut(received: "\(list)") }
            #expect(accounts.map { $0["id"] } == [.string("alice"), .string("bob")])
            let (some, _) = try await use(client, "list_accounts", #"{"status":"degraded","limit":10}"#)
            guard case .array(let degraded)? = some["accounts"] else { throw TimedOut(received: "\(some)") }
            #expect(degraded.map { $0["id"] } == [.string("bob")])

            let (status, _) = try await use(client, "token_status", #"{"account":"alice"}"#)
            #expect(status["generation"] == .integer(17))
            #expect(status["valid"] == .bool(true))
            #expect(status["expires_in"] == .integer(3600))
            let (none, _) = try await use(client, "token_status", #"{"account":"bob"}"#)
            #expect(none["valid"] == .bool(false))
            for text in ["\(list)", "\(status)"] { #expect(!text.contains("geheim")) }
        }
    }

    @Test func aRefreshCanBeRepeated() async throws {
        let house = try House()
        try house.add("alice")
        try await house.serve { client async throws in
            let arguments = #"{"account":"alice","if_generation":17}"#
            let (first, _) = try await use(client, "refresh_token", arguments)
            #expect(first["outcome"] == .string("refreshed"))
            #expect(first["generation"] == .integer(18))
            let (again, _) = try await use(client, "refresh_token", arguments)
            #expect(again["outcome"] == .string("already_newer"))
            #expect(again["generation"] == .integer(18))
            #expect(house.fleet.begins.count == 1)
            #expect(!"\(first)".contains("at-18"))
        }
    }

    @Test(arguments: [
        ("token_status", "{}", "account is missing"), ("token_status", #"{"account":"no body"}"#, "invalid_account_id"),
        ("token_status", #"{"account":"nobody"}"#, "account_not_found"),
        ("token_status", #"{"account":"alice","all":true}"#, "unknown field"),
        ("refresh_token", #"{"account":"alice"}"#, "if_generation is missing"),
        ("refresh_token", #"{"account":"alice","if_generation":99}"#, "generation_conflict"),
        ("refresh_token", #"{"account":"alice","if_generation":"17"}"#, "whole number"),
        ("list_accounts", #"{"limit":0}"#, "limit"), ("list_accounts", #"{"status":"fine"}"#, "status has to be"),
        ("pool_status", #"{"pool":"warp"}"#, "pool_not_found"),
    ])
    func mistakesAreErrorsOfTheTool(tool: String, arguments: String, message: String) async throws {
        let house = try House()
        try house.add("alice")
        try await house.serve { client async throws in
            let (text, isError) = try await use(client, tool, arguments)
            #expect(isError)
            #expect("\(text)".contains(message), "\(text)")
        }
    }
}
