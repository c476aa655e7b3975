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
            _ method: String, _ target: String, _ headers: [String] = [], body: String? = nil, _ status: Int,
            _ code: String, _ detail: String = ""
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
        Case("PATCH", "/v1/accounts/missing", body: #"{"name":"x"}"#, 404, "account_not_found"),
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
        Case("GET", "/v1/accounts/a/token", ["X-Perennial-Refused-Generation: x"], 400, "malformed_request"),
        Case("GET", "/v1/accounts?limit=0", 400, "malformed_request", "limit"),
        Case("GET", "/v1/accounts?limit=1001", 400, "malformed_request", "limit"),
        Case("GET", "/v1/accounts?after=%20", 400, "invalid_account_id"),
        Case("GET", "/v1/accounts?after=%zz", 400, "malformed_request"),
        Case("PUT", "/v1/accounts/a", body: "", 400, "malformed_body"),
        Case("PUT", "/v1/accounts/a", body: "{\"provider\":\n  \"ac\u{1}\"}", 400, "malformed_body", "line 2, column 7"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"sesame""#, 400, "malformed_body"),
        Case("PUT", "/v1/accounts/a", body: #"["sesame"]"#, 400, "malformed_body", "an array"),
        Case("PUT", "/v1/accounts/a", body: #"{"refresh_token":"sesame"}"#, 400, "malformed_body", "provider is missing"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme"}"#, 400, "malformed_body", "refresh_token is missing"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"sesame","pool":"x"}"#, 400, "malformed_body", "\"pool\""),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","sesame.sesame":1}"#, 400, "malformed_body", "13 bytes"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","provider":"acme","refresh_token":"sesame"}"#, 400, "malformed_body", "twice"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":5}"#, 400, "malformed_body", "a number"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"nobody","refresh_token":"sesame"}"#, 400, "unknown_provider", "acme"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"a b","refresh_token":"sesame"}"#, 400, "invalid_account"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"se same"}"#, 400, "invalid_account", "refresh_token"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame"}"#, 400, "invalid_account", "expires_at"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":"tomorrow"}"#, 400, "malformed_body", "RFC 3339"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":1795252620500}"#, 400, "malformed_body", "milliseconds"),
        Case("PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","access_token":"sesame","expires_at":true}"#, 400, "malformed_body", "a boolean"),
        Case("PUT", "/v1/accounts/a", body: String(repeating: "[", count: 5000), 400, "malformed_body", "nested"),
        Case("PUT", "/v1/accounts/a", ["Content-Type: text/plain"], body: AccountTests.body, 415, "unsupported_media_type"),
        Case("PATCH", "/v1/accounts/a", body: "{}", 400, "malformed_body", "nothing"),
        Case("PATCH", "/v1/accounts/a", body: #"{"enabled":"yes"}"#, 400, "malformed_body", "enabled"),
        Case("PATCH", "/v1/accounts/a", body: #"{"name":"a\u0007"}"#, 400, "invalid_account"),
        Case("PATCH", "/v1/accounts/a", body: #"{"name":"x","token":1}"#, 400, "malformed_body", "\"token\""),
        Case("POST", "/v1/accounts/a/refresh", body: #"{"if_generation":"17"}"#, 400, "malformed_body", "if_generation"),
        Case("POST", "/v1/accounts/a/refresh", body: #"{"if_generation":-1}"#, 400, "malformed_body", "if_generation"),
        Case("POST", "/v1/accounts/a/refresh", body: #"{"force":true}"#, 400, "malformed_body", "\"force\""),
        Case("POST", "/v1/accounts/a/pause", body: #"{"for":1}"#, 400, "malformed_body", "\"for\""),
    ]

    @Test(arguments: cases) func isRefused(_ item: Case) async throws {
        let house = try House()
        try house.add("a")
        try await house.serve { client in
            let response = try await client.send(item.method, item.target, headers: item.headers, body: item.body)
            #expect(response.status == item.status)
            #expect(response.headers["content-type"] == "application/problem+json")
            #expect(response.member("type") == "urn:perennial:problem:\(item.code)")
            #expect(response.member("status") == "\(item.status)")
            #expect(response.member("title")?.isEmpty == false)
            #expect(response.member("instance") == String(item.target.prefix { $0 != "?" }))
            let allowed = response.headers["allow"] ?? ""
            #expect(item.detail.isEmpty || response.member("detail")?.contains(item.detail) == true || allowed == item.detail)
            #expect(!response.body.contains("sesame"))
            #expect(house.fleet.snapshot(try AccountID("a"))?.generation == Generation(17))
        }
    }

    @Test func aBodyBeyondTheCapIsRefused() async throws {
        let house = try House()
        try await house.serve { client in
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
        try await house.serve { client in
            let outcome = try await client.exchange(text, untilClosed: true)
            #expect(outcome.responses.map(\.status) == [400])
            #expect(outcome.responses.first?.member("type") == "urn:perennial:problem:malformed_request")
            #expect(outcome.isClosed)
        }
    }

    @Test func headersBeyondTheCapAreRefused() async throws {
        let house = try House()
        try await house.serve { client in
            let outcome = try await client.exchange(
                "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: \(String(repeating: "a", count: 20_000))\r\n\r\n",
                untilClosed: true)
            #expect(outcome.responses.map(\.status) == [431])
        }
    }
}
