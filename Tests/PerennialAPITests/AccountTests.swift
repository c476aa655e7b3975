import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct AccountTests {
    static let body =
        #"{"provider":"acme","name":"Alice","refresh_token":"rt-secret","access_token":"at-secret","expires_at":"2026-11-21T11:00:00+01:00"}"#

    @Test func putCreatesThenReplaces() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let created = try await client.send("PUT", "/v1/accounts/alice%40x", body: Self.body)
            #expect(created.status == 201)
            #expect(created.headers["location"] == "/v1/accounts/alice@x")
            #expect(created.headers["etag"] == "\"1\"")
            #expect(created.member("id") == "alice@x")
            #expect(created.member("expires_at") == "2026-11-21T10:00:00Z")
            #expect(!created.body.contains("secret"))
            let replaced = try await client.send(
                "PUT", "/v1/accounts/alice@x", headers: ["Content-Type: application/json; charset=utf-8"],
                body: Self.body)
            #expect(replaced.status == 200)
            #expect(replaced.headers["etag"] == "\"2\"")
        }
    }

    @Test func theCallerSeesItsOwnChangeAtOnce() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let body = #"{"provider":"acme","refresh_token":"r","access_token":"at-new","expires_at":1795260000.5}"#
            #expect(try await client.send("PUT", "/v1/accounts/a", body: body).status == 200)
            let token = try await client.send("GET", "/v1/accounts/a/token")
            #expect(token.member("access_token") == "at-new")
            #expect(try await client.send("POST", "/v1/accounts/a/pause").member("status") == "disabled")
            #expect(try await client.send("GET", "/v1/accounts/a/token").status == 409)
            #expect(try await client.send("POST", "/v1/accounts/a/resume", body: "{}").member("status") == "active")
            #expect(try await client.send("GET", "/v1/accounts/a/token").status == 200)
            #expect(try await client.send("DELETE", "/v1/accounts/a").status == 204)
            #expect(try await client.send("GET", "/v1/accounts/a/token").status == 404)
        }
    }

    @Test func metadataHoldsNoToken() async throws {
        let house = try House()
        try house.add("a", token: "at-secret") {
            $0.lastFault = RefreshFault(kind: .unsent, message: "connect \"failed\"\n")
        }
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/accounts/a")
            #expect(!response.body.contains("at-secret"))
            #expect(response.body.contains(#"{"kind":"unsent","message":"connect \"failed\"\u000a"}"#))
            #expect(
                response.memberNames == [
                    "id", "provider", "name", "enabled", "status", "pool", "tier", "labels", "proxy", "generation",
                    "has_access_token", "token_type", "expires_at", "obtained_at", "created_at", "updated_at", "due_at",
                    "authorized_at", "grant_expires_at", "failures", "next_attempt_at", "last_fault", "intent",
                    "orphans",
                ])
        }
    }

    @Test func listIsPaged() async throws {
        let house = try House()
        for id in ["a", "b", "c"] { try house.add(id) }
        try await house.serve { client async throws in
            let first = try await client.send("GET", "/v1/accounts?limit=2")
            #expect(first.member("next") == "b")
            let second = try await client.send("GET", "/v1/accounts?limit=2&after=b")
            #expect(second.member("next") == "null")
            #expect(second.body.contains(#""id":"c""#) && !second.body.contains(#""id":"b""#))
        }
    }

    @Test(arguments: [
        ("GET", "If-None-Match: \"17\"", 304), ("GET", "If-None-Match: W/\"17\"", 304),
        ("GET", "If-None-Match: *", 304),
        ("GET", "If-None-Match: \"16\", \"17\"", 304), ("GET", "If-None-Match: \"16\"", 200),
        ("GET", "If-None-Match: 17", 400), ("GET", "If-None-Match: \"17", 400), ("GET", "If-None-Match: \"x\"", 400),
        ("GET", "If-None-Match: \"17\",", 400), ("GET", "If-None-Match: \"99999999999999999999\"", 400),
        ("PUT", "If-Match: \"17\"", 200), ("PUT", "If-Match: \"16\"", 412), ("PUT", "If-Match: W/\"17\"", 412),
        ("PUT", "If-Match: *", 200), ("PUT", "If-Match: \"1\", \"17\"", 200), ("PUT", "If-Match: \"1\", \"2\"", 412),
        ("PUT", "If-Match: nonsense", 400), ("PUT", "If-None-Match: *", 412), ("PUT", "If-None-Match: \"3\"", 400),
        ("PATCH", "If-Match: \"17\"", 200), ("PATCH", "If-Match: \"18\"", 412), ("PATCH", "If-Match: \"", 400),
        ("DELETE", "If-Match: \"17\"", 204), ("DELETE", "If-Match: \"18\"", 412), ("DELETE", "If-Match: 17", 400),
    ]) func conditions(method: String, header: String, status: Int) async throws {
        let house = try House()
        try house.add("a")
        let bodies = ["PUT": Self.body, "PATCH": #"{"name":"New"}"#]
        try await house.serve { client async throws in
            let response = try await client.send(method, "/v1/accounts/a", headers: [header], body: bodies[method])
            #expect(response.status == status)
            if status == 412 {
                #expect(response.headers["etag"] == "\"17\"")
                #expect(response.member("generation") == "17")
                #expect(house.fleet.snapshot(try AccountID("a"))?.generation == Generation(17))
            }
        }
    }

    @Test(arguments: [("If-Match: \"1\"", 412), ("If-Match: *", 412), ("If-None-Match: *", 201)])
    func conditionsOnAnAccountThatIsNotThere(header: String, status: Int) async throws {
        let house = try House()
        try await house.serve { client async throws in
            #expect(try await client.send("PUT", "/v1/accounts/a", headers: [header], body: Self.body).status == status)
        }
    }

    @Test func instancesAreListed() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/instances")
            #expect(
                response.body
                    == #"{"instances":[{"id":"i1","host":"h","pid":7,"version":"1.2","started_at":"1970-01-01T00:16:40Z","#
                    + #""seen_at":"1970-01-01T00:33:20Z","listen":["127.0.0.1:8700"],"proactive":true,"leader":true,"refreshes":3}]}"#
            )
        }
    }

    @Test func healthSaysWhatIsWrong() async throws {
        let house = try House()
        try await house.serve { client async throws in
            #expect(try await client.send("GET", "/livez").body == #"{"status":"ok"}"#)
            #expect(try await client.send("GET", "/readyz").status == 200)
            house.readiness.current = ReadinessReport(
                ready: false, reasons: ["Redis at 10.1.2.3 refuses"], checks: ["redis": "refuses", "journal": "ok"])
            let known = try await client.send("GET", "/readyz")
            #expect(known.status == 503)
            #expect(known.body.contains("Redis at 10.1.2.3 refuses") && known.body.contains(#""journal":"ok""#))
            let stranger = try await client.send("GET", "/readyz", headers: ["Host: evil.example"])
            #expect(stranger.body == #"{"ready":false,"reasons":["redis"]}"#)
        }
    }
}
