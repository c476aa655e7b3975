import FoundationEssentials
import Testing

@testable import MockProvider

private struct TokenResponse: Decodable {
    var accessToken: String
    var refreshToken: String?
    var tokenType: String
    var expiresIn: Int

    private enum CodingKeys: String, CodingKey {
        case accessToken = "access_token"
        case refreshToken = "refresh_token"
        case tokenType = "token_type"
        case expiresIn = "expires_in"
    }
}

private struct ErrorResponse: Decodable {
    var error: String
    var text: String?

    private enum CodingKeys: String, CodingKey {
        case error
        case text = "error_description"
    }
}

private struct AccountLine: Decodable {
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

@Suite("The provider over HTTP", .timeLimit(.minutes(10)))
struct MockProviderServerTests {
    @Test func aRefreshOverFormAndJSONAndTheResource() async throws {
        try await withProvider { server, client in
            let account = server.seedAccounts(count: 1)[0]
            let first = try await client.send(
                "POST", "/oauth2/token", headers: form, body: refreshForm(account.refreshToken))
            #expect(first.status == 200)
            #expect(first.headers["cache-control"] == "no-store")
            #expect(first.headers["content-type"] == "application/json")
            let issued = try first.json(TokenResponse.self)
            #expect(issued.tokenType == "Bearer" && issued.expiresIn == 3600)
            let next = try #require(issued.refreshToken)

            let body = #"{"grant_type":"refresh_token","refresh_token":"\#(next)","client_id":"backend","scope":"a"}"#
            let second = try await client.send("POST", "/oauth2/token", headers: json, body: body)
            #expect(second.status == 200)
            let access = try second.json(TokenResponse.self).accessToken
            let good = try await client.send("GET", "/resource", headers: ["Authorization": "Bearer \(access)"])
            #expect(good.status == 200 && good.body == #"{"account":"acct-1"}"#)

            let reuse = try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(next))
            #expect(reuse.status == 400)
            #expect(try reuse.json(ErrorResponse.self).error == "invalid_grant")
            let dead = try await client.send("GET", "/resource", headers: ["Authorization": "Bearer \(access)"])
            #expect(dead.status == 401)
            #expect(dead.headers["www-authenticate"]?.contains("error=\"invalid_token\"") == true)
            #expect(server.totals().familiesRevoked == 1)
        }
    }

    @Test func anExpiredTokenIsNamedAsSuch() async throws {
        try await withProvider { server, client in
            let account = server.seedAccounts(count: 1, lifetime: .seconds(-1))[0]
            let reply = try await client.send(
                "GET", "/resource", headers: ["Authorization": "Bearer \(account.accessToken)"])
            #expect(reply.status == 401)
            #expect(
                reply.headers["www-authenticate"]
                    == #"Bearer error="invalid_token", error_description="The access token expired""#)
            let missing = try await client.send("GET", "/resource")
            #expect(missing.status == 401 && missing.headers["www-authenticate"] == "Bearer")
        }
    }

    @Test(arguments: [
        ("grant_type=password", "unsupported_grant_type"), ("grant_type=refresh_token", "invalid_request"),
        ("refresh_token=x", "invalid_request"), ("", "invalid_request"), ("grant_type=%", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=nope", "invalid_grant"),
    ])
    func badTokenRequestsGetTheirCode(body: String, code: String) async throws {
        try await withProvider { _, client in
            let reply = try await client.send("POST", "/oauth2/token", headers: form, body: body)
            #expect(reply.status == 400)
            #expect(try reply.json(ErrorResponse.self).error == code)
        }
    }

    @Test func oddBodiesAndPathsAreRefused() async throws {
        try await withProvider { _, client in
            let xml = try await client.send(
                "POST", "/oauth2/token", headers: ["Content-Type": "text/xml"], body: "<a/>")
            #expect(xml.status == 400)
            let list = try await client.send("POST", "/oauth2/token", headers: json, body: "[1]")
            #expect(list.status == 400)
            let huge = try await client.send(
                "POST", "/oauth2/token", headers: form, body: String(repeating: "a", count: 1 << 20 + 1))
            #expect(huge.status == 413)
            #expect(try await client.send("GET", "/nothing").status == 404)
            let method = try await client.send("GET", "/oauth2/token")
            #expect(method.status == 405 && method.headers["allow"] == "POST")
            #expect(try await client.send("GET", "/livez").status == 200)
        }
    }

    @Test func clientAuthenticationByBasicAndPost() async throws {
        let configuration = MockProviderConfiguration(rotation: .reusable, clientID: "backend", clientSecret: "s3cret")
        try await withProvider(configuration) { server, client in
            let grant = "grant_type=refresh_token&refresh_token=\(server.seedAccounts(count: 1)[0].refreshToken)"
            let none = try await client.send("POST", "/oauth2/token", headers: form, body: grant)
            #expect(none.status == 401)
            #expect(try none.json(ErrorResponse.self).error == "invalid_client")
            #expect(none.headers["www-authenticate"] != nil)
            let post = grant + "&client_id=backend&client_secret=s3cret"
            #expect(try await client.send("POST", "/oauth2/token", headers: form, body: post).status == 200)
            var headers = form
            headers["Authorization"] = "Basic " + Data("backend:s3cret".utf8).base64EncodedString()
            #expect(try await client.send("POST", "/oauth2/token", headers: headers, body: grant).status == 200)
            #expect(try await client.send("POST", "/oauth2/token", headers: headers, body: post).status == 400)
        }
    }

    @Test func expiresInCanBeAStringAndTheRefreshTokenLeftOut() async throws {
        let configuration = MockProviderConfiguration(
            rotation: .reusable, omitRefreshToken: true, expiresInAsString: true)
        try await withProvider(configuration) { server, client in
            let token = server.seedAccounts(count: 1)[0].refreshToken
            let reply = try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(token))
            #expect(reply.body.contains(#""expires_in":"3600""#))
            #expect(!reply.body.contains("refresh_token"))
        }
    }

    @Test func faultsLookRealOnTheWire() async throws {
        try await withProvider(MockProviderConfiguration(rotation: .grace(.seconds(60)))) { server, client in
            let token = server.seedAccounts(count: 1)[0].refreshToken
            func meet(_ fault: String) async throws -> RawHTTPClient.Reply {
                try server.setFaults([try MockFault(parsing: fault)])
                return try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(token))
            }
            let throttled = try await meet("throttle:3s@x1")
            #expect(throttled.status == 429 && throttled.headers["retry-after"] == "3")
            #expect(try await meet("drop-before@x1").status == 0)
            #expect(try await meet("error-before:503@x1").status == 503)
            #expect(try await meet("invalid-client@x1").status == 401)
            #expect(server.totals().refreshes == 0)
            let cut = try await meet("truncated@x1")
            #expect(cut.status == 200 && cut.isCut && !cut.body.isEmpty)
            #expect(server.totals().refreshes == 1)
            let html = try await meet("unparseable@x1")
            #expect(html.status == 200 && html.headers["content-type"]?.hasPrefix("text/html") == true)
            #expect(try await meet("drop-after@x1").status == 0)
            #expect(try await meet("error-after:502@x1").status == 502)
            #expect(try await meet("hang-before:20ms@x1").status == 504)
            let late = try await meet("hang-after:20ms@x1")
            #expect(late.status == 200 && !late.isCut)
            #expect(server.totals().duplicateSpends == 0)
            #expect(server.totals().faults.values.reduce(0, +) == 10)
        }
    }

    @Test func theAnswerIsHeldForTheLatency() async throws {
        try await withProvider(MockProviderConfiguration(rotation: .reusable, latency: .milliseconds(60))) {
            server, client in
            let token = server.seedAccounts(count: 1)[0].refreshToken
            let elapsed = try await ContinuousClock().measure {
                _ = try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(token))
            }
            #expect(elapsed >= .milliseconds(60))
        }
    }

    @Test func accountsAreSeededForImport() async throws {
        try await withProvider { server, client in
            let request = #"{"count":3,"prefix":"x-","first":7,"expired":true,"provider":"acme"}"#
            let reply = try await client.send("POST", "/admin/accounts", headers: json, body: request)
            #expect(reply.status == 200)
            let lines = try reply.body.split(separator: "\n").map {
                try JSONDecoder().decode(AccountLine.self, from: Data($0.utf8))
            }
            #expect(lines.map(\.id) == ["x-7", "x-8", "x-9"])
            #expect(lines.allSatisfy { $0.provider == "acme" })
            #expect(lines.allSatisfy { Double($0.expiresAt) < Date().timeIntervalSince1970 })
            let refreshed = try await client.send(
                "POST", "/oauth2/token", headers: form, body: refreshForm(lines[1].refreshToken))
            #expect(refreshed.status == 200)
            let use = server.ledger().uses.first
            #expect(use?.account == "x-8")
        }
    }

    @Test(arguments: [
        ("/admin/accounts", "POST", "{}", "count is missing"),
        ("/admin/accounts", "POST", #"{"count":"3"}"#, "count has the wrong type: expected a number"),
        ("/admin/accounts", "POST", #"{"count":0}"#, "count must be between"),
        ("/admin/accounts", "POST", #"{"count":1,"prefx":"a"}"#, "unknown key 'prefx'"),
        ("/admin/accounts", "POST", #"{"count":1,"lifetime":-5}"#, "lifetime must be above 0"),
        ("/admin/accounts", "POST", #"{"count":1"#, "not valid JSON"),
        ("/admin/accounts", "POST", "[]", "the body has the wrong type: expected an object"),
        ("/admin/faults", "PUT", #"["explode"]"#, "there is no fault 'explode'"),
        ("/admin/faults", "PUT", #"[{"kind":"error-after","argument":200}]"#, "between 500 and 599"),
        ("/admin/faults", "PUT", #"[{"kind":"truncated","next":1,"probability":1}]"#, "not both"),
        ("/admin/faults", "PUT", #"{"kind":"truncated"}"#, "expected a list"),
        ("/admin/revoke", "POST", "{}", "account is missing"),
        ("/admin/revoke", "POST", #"{"account":"nobody"}"#, "no such account"),
    ])
    func badAdminRequestsSayWhatIsWrong(path: String, method: String, body: String, part: String) async throws {
        try await withProvider { _, client in
            let reply = try await client.send(method, path, headers: json, body: body)
            #expect((400...404).contains(reply.status))
            let description = try reply.json(ErrorResponse.self).text ?? ""
            #expect(description.contains(part), "\(description)")
        }
    }

    @Test func faultsAreReplacedShownAndCleared() async throws {
        try await withProvider { server, client in
            let body = #"["error-after:502@0.05",{"kind":"throttle","argument":2,"next":3,"account":"acct-1"}]"#
            #expect(try await client.send("PUT", "/admin/faults", headers: json, body: body).status == 200)
            let shown = try await client.send("GET", "/admin/faults").json([MockFault].self)
            #expect(
                shown == [
                    MockFault(.errorAfter(status: 502), .probability(0.05)),
                    MockFault(.throttle(retryAfter: .seconds(2)), .next(3), account: "acct-1"),
                ])
            #expect(try await client.send("DELETE", "/admin/faults").status == 200)
            #expect(try await client.send("GET", "/admin/faults").body == "[]")
            _ = server.seedAccounts(count: 1)
            let revoked = try await client.send("POST", "/admin/revoke", headers: json, body: #"{"account":"acct-1"}"#)
            #expect(revoked.body == #"{"families_revoked":1}"#)
        }
    }

    @Test func theLedgerOverHTTPIsTheLedger() async throws {
        try await withProvider { server, client in
            let token = server.seedAccounts(count: 1)[0].refreshToken
            for body in [refreshForm(token), refreshForm(token), refreshForm("unknown")] {
                _ = try await client.send("POST", "/oauth2/token", headers: form, body: body)
            }
            let totals = try await client.send("GET", "/ledger").json(MockLedger.self)
            #expect(totals.uses.isEmpty && totals.totals == server.totals())
            let detail = try await client.send("GET", "/ledger?detail=1")
            #expect(try detail.json(MockLedger.self) == server.ledger())
            #expect(server.ledger().uses.map(\.outcome) == [.rotated, .reuse, .refused])
            #expect(!detail.body.contains(token))
            let page = try await client.send("GET", "/ledger?detail=1&after=1&limit=1").json(MockLedger.self)
            #expect(page.uses.map(\.sequence) == [2])
            #expect(try await client.send("GET", "/ledger?detail=1&limit=x").status == 400)
        }
    }

    @Test func concurrentUsesOfOneTokenRotateOnce() async throws {
        try await withProvider(MockProviderConfiguration(reuseDetection: false)) { server, client in
            let token = server.seedAccounts(count: 1)[0].refreshToken
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await client.send("POST", "/oauth2/token", headers: form, body: refreshForm(token)).status
                    }
                }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 1, 400: 19])
            #expect(server.totals().duplicateSpends == 19)
        }
    }
}
