import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct BadInputTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var method: String
        var target: String
        var headers: [String] = []
        var body: String?
        var status: Int
        var code: String
        var detail = ""

        var testDescription: String { "\(method) \(target) \(headers) \(body ?? "")" }

        init(
            _ method: String, _ target: String, _ status: Int, _ code: String, _ detail: String = "",
            headers: [String] = [], body: String? = nil
        ) {
            (self.method, self.target, self.headers, self.body) = (method, target, headers, body)
            (self.status, self.code, self.detail) = (status, code, detail)
        }
    }

    static let cases: [Case] = [
        Case("GET", "/", 404, "not_found"),
        Case("GET", "/v1/account", 404, "not_found"),
        Case("GET", "/v1/accounts/", 404, "not_found"),
        Case("GET", "/v1/accounts/a/tokens", 404, "not_found"),
        Case("GET", "/v1/accounts/a/token/", 404, "not_found"),
        Case("GET", "/v1/accounts/missing", 404, "account_not_found"),
        Case("GET", "/v1/accounts/missing/token", 404, "account_not_found"),
        Case("POST", "/v1/accounts/missing/refresh", 404, "account_not_found"),
        Case("POST", "/v1/accounts/missing/pause", 404, "account_not_found"),
        Case("PATCH", "/v1/accounts/missing", 404, "account_not_found", body: #"{"name":"x"}"#),
        Case("DELETE", "/v1/accounts/missing", 404, "account_not_found"),
        Case("POST", "/v1/accounts", 405, "method_not_allowed"),
        Case("DELETE", "/v1/accounts/a/token", 405, "method_not_allowed", "GET, HEAD"),
        Case("GET", "/v1/accounts/a/refresh", 405, "method_not_allowed", "POST"),
        Case("OPTIONS", "/v1/accounts/a", 405, "method_not_allowed", "GET, HEAD, PUT, PATCH, DELETE"),
        Case("GET", "/v1/accounts/a%20b/token", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts/a%2", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts/a%ff", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts/..", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts/" + String(repeating: "a", count: 201), 400, "invalid_account_id"),
        Case("GET", "/v1/accounts/a/token?min_ttl=-1", 400, "malformed_request", "min_ttl"),
        Case("GET", "/v1/accounts/a/token?min_ttl=+1", 400, "malformed_request", "min_ttl"),
        Case("GET", "/v1/accounts/a/token?min_ttl=1.5", 400, "malformed_request", "min_ttl"),
        Case("GET", "/v1/accounts/a/token?min_ttl=99999999999999999999", 400, "malformed_request", "min_ttl"),
        Case("GET", "/v1/accounts/a/token?min_tll=5", 400, "malformed_request", "min_tll"),
        Case("GET", "/v1/accounts/a/token?min_ttl=1&min_ttl=2", 400, "malformed_request", "twice"),
        Case("GET", "/v1/accounts/a/token?refused_generation=x", 400, "malformed_request", "refused_generation"),
        Case("GET", "/v1/accounts/a/token", 400, "malformed_request", headers: ["X-Perennial-Refused-Generation: x"]),
        Case("GET", "/v1/accounts?limit=0", 400, "malformed_request", "limit"),
        Case("GET", "/v1/accounts?limit=1001", 400, "malformed_request", "limit"),
        Case("GET", "/v1/accounts?after=%20", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts?after=%zz", 400, "malformed_request"),
        Case("PUT", "/v1/accounts/a", 400, "malformed_body", body: ""),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "line 2, column 7", body: "{\"provider\":\n  \"ac\u{1}\"}"),
        Case("PUT", "/v1/accounts/a", 400, "malformed_body", body: #"{"provider":"acme","refresh_token":"sesame""#),
        Case("PUT", "/v1/accounts/a", 400, "malformed_body", "an array", body: #"["sesame"]"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "provider is missing", body: #"{"refresh_token":"sesame"}"#),
        Case("PUT", "/v1/accounts/a", 400, "malformed_body", "refresh_token is missing", body: #"{"provider":"acme"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "\"colour\"",
            body: #"{"provider":"acme","refresh_token":"sesame","colour":"x"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "13 bytes",
            body: #"{"provider":"acme","refresh_token":"r","sesame.sesame":1}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "twice",
            body: #"{"provider":"acme","provider":"acme","refresh_token":"sesame"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "a number", body: #"{"provider":"acme","refresh_token":5}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "unknown_provider", "acme",
            body: #"{"provider":"nobody","refresh_token":"sesame"}"#),
        Case("PUT", "/v1/accounts/a", 400, "invalid_account", body: #"{"provider":"a b","refresh_token":"sesame"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "invalid_account", "refresh_token",
            body: #"{"provider":"acme","refresh_token":"se same"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "invalid_account", "expires_at",
            body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "RFC 3339",
            body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":"tomorrow"}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "milliseconds",
            body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":1795255020500}"#),
        Case(
            "PUT", "/v1/accounts/a", 400, "malformed_body", "a boolean",
            body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":true}"#),
        Case("PUT", "/v1/accounts/a", 400, "malformed_body", "nested", body: String(repeating: "[", count: 5000)),
        Case(
            "PUT", "/v1/accounts/a", 415, "unsupported_media_type", headers: ["Content-Type: text/plain"],
            body: AccountTests.body),
        Case("PATCH", "/v1/accounts/a", 400, "malformed_body", "nothing", body: "{}"),
        Case("PATCH", "/v1/accounts/a", 400, "malformed_body", "enabled", body: #"{"enabled":"yes"}"#),
        Case("PATCH", "/v1/accounts/a", 400, "invalid_account", body: #"{"name":"a\u0007"}"#),
        Case("PATCH", "/v1/accounts/a", 400, "malformed_body", "\"token\"", body: #"{"name":"x","token":1}"#),
        Case(
            "POST", "/v1/accounts/a/refresh", 400, "malformed_body", "if_generation", body: #"{"if_generation":"17"}"#),
        Case("POST", "/v1/accounts/a/refresh", 400, "malformed_body", "if_generation", body: #"{"if_generation":-1}"#),
        Case("POST", "/v1/accounts/a/refresh", 400, "malformed_body", "\"force\"", body: #"{"force":true}"#),
        Case("POST", "/v1/accounts/a/pause", 400, "malformed_body", "\"for\"", body: #"{"for":1}"#),
    ]

    @Test(arguments: cases) func isRefused(_ item: Case) async throws {
        let house = try House()
        try house.add("a")
        try await house.serve { client async throws in
            let response = try await client.send(item.method, item.target, headers: item.headers, body: item.body)
            #expect(response.status == item.status)
            #expect(response.headers["content-type"] == "application/problem+json")
            #expect(response.member("type") == "urn:perennial:problem:\(item.code)")
            #expect(response.member("status") == "\(item.status)")
            #expect(response.member("title")?.isEmpty == false)
            #expect(response.member("instance") == String(item.target.prefix { $0 != "?" }))
            let allowed = response.headers["allow"] ?? ""
            #expect(
                item.detail.isEmpty || response.member("detail")?.contains(item.detail) == true
                    || allowed == item.detail)
            #expect(!response.body.contains("sesame"))
            #expect(house.fleet.snapshot(try AccountID("a"))?.generation == Generation(17))
        }
    }

    @Test func aBodyBeyondTheCapIsRefused() async throws {
        let house = try House()
        try await house.serve { client async throws in
            // Refused by its announced length, without being sent.
            let announced = try await client.exchange(
                "PUT /v1/accounts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 262145\r\n\r\n", untilClosed: true)
            #expect(announced.responses.map(\.status) == [413])
            #expect(announced.responses.first?.headers["connection"] == "close")
            let chunk = String(repeating: " ", count: 0x8000)
            let chunked = try await client.exchange(
                "PUT /v1/accounts/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: "8000\r\n\(chunk)\r\n", count: 9) + "0\r\n\r\n", untilClosed: true)
            #expect(chunked.responses.map(\.status) == [413])
            let largest = String(repeating: " ", count: 262_144 - AccountTests.body.utf8.count) + AccountTests.body
            #expect(try await client.send("PUT", "/v1/accounts/a", body: largest).status == 201)
        }
    }

    @Test(arguments: ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n"])
    func whatIsNotHTTPIsRefused(text: String) async throws {
        let house = try House()
        try await house.serve { client async throws in
            let outcome = try await client.exchange(text, untilClosed: true)
            #expect(outcome.responses.map(\.status) == [400])
            #expect(outcome.responses.first?.member("type") == "urn:perennial:problem:malformed_request")
            #expect(outcome.isClosed)
        }
    }

    @Test func headersBeyondTheCapAreRefused() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let outcome = try await client.exchange(
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: \(String(repeating: "a", count: 20_000))\r\n\r\n",
                untilClosed: true)
            #expect(outcome.responses.map(\.status) == [431])
        }
    }
}
