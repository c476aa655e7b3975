import RefreshCore
import Testing

@testable import PerennialAPI

/// Reads of one account that wait together.
@Suite struct SharedReadTests {
    @Test func manyConnectionsShareOneReadAndOneAnswer() async throws {
        let slow = try AccountID("slow")
        let house = try House()
        try house.add("slow", token: nil)
        house.endpoint.hold()
        try await house.serve { client async throws in
            let responses = try await withThrowingTaskGroup(of: RawResponse.self) { group in
                for _ in 0..<40 { group.addTask { try await client.send("GET", "/v1/accounts/slow/token") } }
                try await eventually { house.endpoint.isWaitedFor && house.backend.sharedReads.waiting(slow) == 40 }
                house.endpoint.release()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(responses.map(\.body)).count == 1)
            #expect(responses.allSatisfy { $0.status == 200 && $0.headers["etag"] == "\"18\"" })
            #expect(house.fleet.begins.count == 1)
            #expect(house.fleet.reads <= 2)
            #expect(house.backend.sharedReads.waiting(slow) == 0)
        }
    }

    @Test func theSharedAnswerLooksLikeTheOrdinaryOne() async throws {
        let house = try House()
        try house.add("good")
        try house.add("dead", token: nil) { $0.status = .reauthRequired }
        try await house.serve { client async throws in
            for id in ["good", "dead", "nobody"] {
                // A query is not for the short way.
                let ordinary = try await client.send("GET", "/v1/accounts/\(id)/token?min_ttl=0")
                house.cache.forget(try AccountID(id))
                let shared = try await client.send("GET", "/v1/accounts/\(id)/token")
                #expect(shared.status == ordinary.status)
                #expect(shared.headers == ordinary.headers)
                #expect(shared.body == ordinary.body)
            }
        }
    }

    @Test func aChangeMadeHereIsSeenByWhoeverAsksAfterIt() async throws {
        let house = try House()
        try house.add("slow", token: nil)
        house.endpoint.hold()
        try await house.serve { client async throws in
            let early = Task { try await client.send("GET", "/v1/accounts/slow/token").status }
            try await eventually { house.endpoint.isWaitedFor }
            #expect(try await client.send("DELETE", "/v1/accounts/slow").status == 204)
            // Not the answer that the early one still waits for.
            #expect(try await client.send("GET", "/v1/accounts/slow/token").status == 404)
            house.endpoint.release()
            #expect(try await early.value == 404)
        }
    }

    @Test func whoHangsUpTakesNothingFromTheOthers() async throws {
        let house = try House()
        try house.add("slow", token: nil)
        house.endpoint.hold()
        try await house.serve { client async throws in
            let request = ConnectionTests.get("/v1/accounts/slow/token")
            let stays = Task { try await client.exchange(request + request) }
            try await eventually { house.endpoint.isWaitedFor }
            // Closes the connection as soon as the request is out.
            _ = try await client.exchange(request, count: 0)
            house.endpoint.release()
            #expect(try await stays.value.responses.first?.status == 200)
            #expect(try await client.send("GET", "/v1/accounts/slow/token").status == 200)
        }
    }
}
