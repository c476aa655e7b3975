import HTTPTypes
import RefreshCore
import Testing

@testable import PerennialAPI

/// What proxies get that ask before they forward; real ones are asked in IntegrationTests.
@Suite struct ForwardAuthTests {
    @Test func theTokenIsAHeader() async throws {
        let house = try House()
        try house.addWarm("alice", token: "at-17")
        try await house.serve { client async throws in
            for method in ["GET", "POST", "DELETE", "PROPFIND", "OPTIONS"] {
                let response = try await client.send(method, "/v1/forward-auth/alice")
                #expect(response.status == 200)
                #expect(response.headers["authorization"] == "Bearer at-17")
                #expect(response.headers["perennial-account"] == "alice")
                #expect(response.headers["perennial-generation"] == "17")
                #expect(response.headers["cache-control"] == "no-store")
                #expect(response.body.isEmpty)
            }
        }
    }

    /// Envoy appends the path and the query of the original request.
    @Test(arguments: ["/", "/api/v2?pool=warp&x", "/%2e%2e/admin", "//"])
    func whatStandsBehindTheAccountIsPassedOver(rest: String) async throws {
        let house = try House()
        try house.addWarm("alice")
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/forward-auth/alice\(rest)")
            #expect(response.headers["authorization"] == "Bearer at-17")
        }
    }

    /// As proxies send it that pass the body on: the connection stays usable.
    @Test func aBodyIsNotReadAsARequest() async throws {
        let house = try House()
        try house.addWarm("alice")
        try await house.serve { client async throws in
            let body = "GET /v1/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let request =
                "POST /v1/forward-auth/alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            let outcome = try await client.exchange(request + request, count: 2)
            #expect(outcome.responses.map(\.status) == [200, 200])
            #expect(outcome.responses.allSatisfy { $0.headers["authorization"] == "Bearer at-17" })
        }
    }

    @Test func aRefusedGenerationIsReplacedOnce() async throws {
        let house = try House()
        try house.addWarm("alice")
        try await house.serve { client async throws in
            for _ in 0..<2 {
                let response = try await client.send(
                    "GET", "/v1/forward-auth/alice", headers: ["X-Perennial-Refused-Generation: 17"])
                #expect(response.headers["authorization"] == "Bearer at-18")
            }
            #expect(house.fleet.begins.count == 1)
            // Not all proxies can leave a header out.
            let empty = try await client.send(
                "GET", "/v1/forward-auth/alice", headers: ["X-Perennial-Refused-Generation:"])
            #expect(empty.headers["authorization"] == "Bearer at-18")
        }
    }

    @Test(arguments: [
        (AccountStatus.reauthRequired, true, 403, "reauth_required"), (.active, false, 403, "disabled"),
    ])
    func whatAPersonHasToDoIs403(status: AccountStatus, isEnabled: Bool, code: Int, error: String) async throws {
        let house = try House()
        try house.add("alice", token: nil) {
            $0.status = status
            $0.enabled = isEnabled
        }
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/forward-auth/alice")
            #expect(response.status == code)
            #expect(response.headers["perennial-error"] == error)
            #expect(response.headers["authorization"] == nil)
            #expect(response.body.isEmpty)
        }
    }

    @Test func whatPassesIs503() async throws {
        let house = try House()
        try house.add("alice")
        house.fleet.fail(StoreError(.unavailable, "Redis is away"))
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/forward-auth/alice")
            #expect(response.status == 503)
            #expect(response.headers["retry-after"] == "1")
            #expect(response.headers["perennial-error"] == "store_unavailable")
        }
    }

    /// What heals by itself is not the client's fault; what needs a person does not heal by waiting.
    @Test func unknownOutcomesAndMistakesOfTheOperator() throws {
        let now = House.start
        var passing = Problem(.outcomeUnknown, "asked again in a moment")
        passing.retryAt = now + .seconds(7)
        let wait = ForwardAuthRoutes.refusal(passing, now: now)
        #expect(wait.status == .serviceUnavailable)
        #expect(wait.headers[.retryAfter] == "7")
        for code in [Problem.Code.outcomeUnknown, .unknownProvider, .providerMisconfigured] {
            let answer = ForwardAuthRoutes.refusal(Problem(code, "somebody has to look"), now: now)
            #expect(answer.status == .forbidden)
            #expect(answer.headers[.retryAfter] == nil)
        }
    }

    @Test(arguments: [
        "/v1/forward-auth/pools",
        "/v1/forward-auth/nobody", "/v1/forward-auth/no%20body", "/v1/forward-auth/", "/v1/forward-auth/pools/warp",
        "/v1/forward-auth/pools/",
    ])
    func whatIsNotThereIs403(path: String) async throws {
        let house = try House()
        try await house.serve { client async throws in
            let response = try await client.send("GET", path)
            #expect(response.status == 403)
            #expect(response.body.isEmpty)
        }
    }

    @Test func badReportsAreRefused() async throws {
        let house = try House()
        try house.addWarm("alice")
        try await house.serve { client async throws in
            for header in [
                "X-Perennial-Refused-Generation: x", "X-Perennial-Refused-Because: mood",
                "X-Perennial-Refused-Account: no body",
            ] {
                let response = try await client.send("GET", "/v1/forward-auth/alice", headers: [header])
                #expect(response.status == 403)
                #expect(response.headers["authorization"] == nil)
            }
            #expect(house.fleet.begins.isEmpty)
        }
    }

    /// The caller of the proxy may send credentials of its own along: the proxy's key is the one that counts.
    @Test func theProxyNeedsAKey() async throws {
        let house = try House()
        try house.addWarm("alice")
        let (keys, texts) = try house.keys(.read)
        try await house.serve(keys: keys) { client async throws in
            let without = try await client.send(
                "GET", "/v1/forward-auth/alice", headers: ["Authorization: Bearer of-the-client"])
            #expect(without.status == 401)
            #expect(without.headers["perennial-error"] == "unauthorized")
            #expect(without.body.isEmpty)
            let with = try await client.send(
                "GET", "/v1/forward-auth/alice",
                headers: [
                    "Authorization: Bearer of-the-client", "Origin: https://shop.example",
                    "X-Perennial-Key: \(texts[0])",
                ])
            #expect(with.status == 200)
            #expect(with.headers["authorization"] == "Bearer at-17")
        }
    }
}
