import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct TokenTests {
    @Test func tokenHasExactlyTheDocumentedShape() async throws {
        let house = try House()
        try house.addWarm("alice@example.com", token: "at\"17\\")
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/accounts/alice@example.com/token")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"account":"alice@example.com","access_token":"at\"17\\","token_type":"Bearer","#
                    + #""expires_at":"2026-11-21T10:57:00Z","expires_in":3600,"generation":17,"source":"memory","stale":false}"#
            )
            #expect(response.headers["cache-control"] == "no-store")
            #expect(response.headers["etag"] == "\"17\"")
            #expect(response.headers["content-type"] == "application/json")
            #expect(response.headers["date"] == "Sat, 21 Nov 2026 09:57:00 GMT")
        }
    }

    @Test func warmAndOrdinaryWayAnswerTheSameBytes() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let warm = try await client.send("GET", "/v1/accounts/a/token")
            let ordinary = try await client.send("GET", "/v1/accounts/a/token?min_ttl=0")
            #expect(warm.head == ordinary.head)
            #expect(warm.body == ordinary.body)
            #expect(house.fleet.reads == 0)
        }
    }

    @Test func sourcesAreToldApart() async throws {
        let house = try House()
        try house.add("cold")
        try house.add("expired", life: .seconds(30))
        try house.add("new", generation: 1, token: nil)
        try await house.serve { client async throws in
            let cold = try await client.send("GET", "/v1/accounts/cold/token")
            #expect(cold.member("source") == "redis")
            let again = try await client.send("GET", "/v1/accounts/cold/token")
            #expect(again.member("source") == "memory")
            house.time.advance(.seconds(31))
            let refreshed = try await client.send("GET", "/v1/accounts/expired/token")
            #expect(refreshed.member("source") == "refresh")
            #expect(refreshed.member("access_token") == "at-18")
            #expect(refreshed.member("generation") == "18")
            let first = try await client.send("GET", "/v1/accounts/new/token")
            #expect(first.member("access_token") == "at-2")
        }
    }

    @Test func secondsLeftAreRoundedDown() async throws {
        let house = try House()
        try house.add("a", life: .milliseconds(1_200_900))
        try await house.serve { client async throws in
            #expect(try await client.send("GET", "/v1/accounts/a/token").member("expires_in") == "1200")
        }
    }

    @Test func minimumLifeForcesARefresh() async throws {
        let house = try House()
        try house.add("a") { $0.obtainedAt = nil }
        try await house.serve { client async throws in
            #expect(try await client.send("GET", "/v1/accounts/a/token?min_ttl=3600").member("generation") == "17")
            #expect(try await client.send("GET", "/v1/accounts/a/token?min_ttl=3601").member("generation") == "18")
        }
    }

    @Test(arguments: ["query", "header"]) func aRefusedGenerationIsReplacedOnce(way: String) async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            func report(_ generation: String) async throws -> RawResponse {
                way == "query"
                    ? try await client.send("GET", "/v1/accounts/a/token?refused_generation=\(generation)")
                    : try await client.send(
                        "GET", "/v1/accounts/a/token", headers: ["X-Perennial-Refused-Generation: \(generation)"])
            }
            #expect(try await report("17").member("generation") == "18")
            #expect(try await report("17").member("generation") == "18")
            #expect(try await report("16").member("generation") == "18")
            #expect(house.fleet.begins.count == 1)
        }
    }

    @Test func anUnchangedTokenNeedNotBeSentAgain() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let same = try await client.send("GET", "/v1/accounts/a/token", headers: ["If-None-Match: \"17\""])
            #expect(same.status == 304)
            #expect(same.headers["etag"] == "\"17\"")
            let other = try await client.send("GET", "/v1/accounts/a/token", headers: ["If-None-Match: \"16\""])
            #expect(other.status == 200)
        }
    }

    @Test func headAnswersWithoutABody() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let get = try await client.send("GET", "/v1/accounts/a/token")
            let head = try await client.send("HEAD", "/v1/accounts/a/token")
            #expect(head.head == get.head)
            #expect(head.body.isEmpty)
        }
    }

    @Test func aTokenThatOutlivesItsRefreshIsStale() async throws {
        let house = try House()
        try house.add("a", life: .seconds(40)) { $0.obtainedAt = nil }
        house.endpoint.answer(.misconfigured("invalid_client"))
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/accounts/a/token")
            #expect(response.status == 200)
            #expect(response.member("stale") == "true")
        }
    }

    @Test func refreshAnswersOutcomeGenerationAndExpiry() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let refreshed = try await client.send("POST", "/v1/accounts/a/refresh", body: #"{"if_generation": 17}"#)
            #expect(refreshed.status == 200)
            #expect(refreshed.body == #"{"outcome":"refreshed","generation":18,"expires_at":"2026-11-21T10:57:00Z"}"#)
            let older = try await client.send("POST", "/v1/accounts/a/refresh", body: #"{"if_generation": 17}"#)
            #expect(older.body == #"{"outcome":"already_newer","generation":18,"expires_at":"2026-11-21T10:57:00Z"}"#)
            let newer = try await client.send("POST", "/v1/accounts/a/refresh", body: #"{"if_generation": 19}"#)
            #expect(newer.status == 409)
            #expect(newer.member("type") == "urn:perennial:problem:generation_conflict")
            #expect(newer.member("generation") == "18")
            #expect(house.fleet.begins.map(\.ignoresBackoff) == [false])
            let demanded = try await client.send("POST", "/v1/accounts/a/refresh")
            #expect(demanded.member("generation") == "19")
            #expect(house.fleet.begins.map(\.ignoresBackoff) == [false, true])
        }
    }

    @Test func aSecondRefreshJoinsTheFirst() async throws {
        let outcome = House.Box<String?>(nil)
        // A busy machine may need longer for the step to the coordinator; who comes after the landing is told so.
        for pause in [Duration.milliseconds(50), .seconds(1), .seconds(20)] {
            let house = try House()
            try house.addWarm("a")
            house.endpoint.hold()
            try await house.serve { client async throws in
                async let first = client.send("POST", "/v1/accounts/a/refresh")
                try await eventually { house.endpoint.isWaitedFor }
                async let second = client.send("POST", "/v1/accounts/a/refresh")
                // The first read of the directory is the first request's, the next the second's.
                try await eventually { house.fleet.reads >= 2 }
                // Having read the account, the second request goes to the coordinator without another suspension.
                try await Task.sleep(for: pause)
                house.endpoint.release()
                #expect(try await first.member("outcome") == "refreshed")
                outcome.current = try await second.member("outcome")
                #expect(house.fleet.begins.count == 1)
            }
            if outcome.current != "already_newer" { break }
        }
        #expect(outcome.current == "joined")
    }
}

/// Waits for a condition, at most a minute.
func eventually(_ condition: @Sendable () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(received: "the condition never held") }
        try await Task.sleep(for: .milliseconds(2))
    }
}
