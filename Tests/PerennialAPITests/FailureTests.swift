import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct FailureTests {
    static let statuses: [RefreshFailure.Code: Int] = [
        .accountNotFound: 404, .reauthRequired: 424, .disabled: 409, .unknownProvider: 502, .coolingDown: 503,
        .providerThrottled: 503, .providerMisconfigured: 502, .providerUnavailable: 502, .outcomeUnknown: 424,
        .storeUnavailable: 503, .journalUnavailable: 503, .timedOut: 503, .shuttingDown: 503,
    ]

    @Test(arguments: RefreshFailure.Code.allCases) func everyRefreshFailureHasItsStatus(code: RefreshFailure.Code)
        throws
    {
        let account = try AccountID("a")
        let problem = Problem(
            RefreshFailure(code, "words", retryAt: House.start + .milliseconds(1001)), account: account,
            generation: Generation(3))
        #expect(problem.status == Self.statuses[code])
        #expect(problem.code.rawValue == code.rawValue)
        #expect(problem.retryAfter(now: House.start) == 2)
        let body = String(decoding: problem.body(instance: "/p"), as: UTF8.self)
        #expect(body.contains(#""account":"a","generation":3,"retry_at":"2026-11-21T09:57:02Z""#))
    }

    @Test(arguments: [
        (StoreError.Code.unavailable, 503, "store_unavailable"), (.outcomeUnknown, 503, "store_outcome_unknown"),
        (.refused, 503, "store_refused"), (.corrupt, 500, "store_corrupt"), (.sealing, 500, "sealing_failed"),
        (.cancelled, 503, "shutting_down"),
    ]) func everyStoreErrorHasItsStatus(code: StoreError.Code, status: Int, name: String) async throws {
        let house = try House()
        house.fleet.fail(StoreError(code, "Redis says no"))
        try await house.serve { client async throws in
            let demands = [
                ("GET", "/v1/accounts", nil), ("GET", "/v1/accounts/a", nil),
                ("PUT", "/v1/accounts/a", AccountTests.body), ("PATCH", "/v1/accounts/a", #"{"enabled":true}"#),
                ("DELETE", "/v1/accounts/a", nil), ("POST", "/v1/accounts/a/refresh", nil),
            ]
            for (method, target, body) in demands {
                let response = try await client.send(method, target, body: body)
                #expect(response.status == status, "\(method) \(target)")
                #expect(response.member("type") == "urn:perennial:problem:\(name)")
                #expect(response.member("detail")?.hasPrefix("Redis says no; ") == true)
                #expect((response.headers["retry-after"] == "1") == (status == 503))
            }
        }
    }

    @Test func failuresReachTheCaller() async throws {
        let house = try House()
        let until = House.start + .seconds(90)
        try house.add("refused", token: nil)
        try house.add("paused") { $0.enabled = false }
        try house.add("foreign", token: nil, provider: "other")
        try house.add("cooling", token: nil)
        try await house.serve { client async throws in
            house.endpoint.answer(.refused("invalid_grant"))
            let refused = try await client.send("GET", "/v1/accounts/refused/token")
            #expect(refused.status == 424)
            #expect(refused.member("type") == "urn:perennial:problem:reauth_required")
            #expect(refused.member("account") == "refused")
            #expect(refused.headers["cache-control"] == "no-store")
            #expect(try await client.send("GET", "/v1/accounts/paused/token").status == 409)
            #expect(try await client.send("POST", "/v1/accounts/paused/refresh").member("generation") == "17")
            #expect(try await client.send("GET", "/v1/accounts/foreign/token").status == 502)
            house.fleet.answerBegin {
                .cooling($0, until: until, cause: RefreshFault(kind: .unsent, message: "no route"))
            }
            let cooling = try await client.send("POST", "/v1/accounts/cooling/refresh")
            #expect(cooling.status == 503)
            #expect(cooling.headers["retry-after"] == "90")
            #expect(cooling.member("retry_at") == "2026-11-21T09:58:31Z")
            house.fleet.answerBegin(nil)
            house.endpoint.answer(.throttled("slow down", retryAfter: .seconds(7)))
            let throttled = try await client.send("GET", "/v1/accounts/cooling/token")
            #expect(throttled.status == 503)
            #expect(throttled.headers["retry-after"] == "7")
            house.endpoint.answer(.misconfigured("invalid_client"))
            #expect(try await client.send("GET", "/v1/accounts/cooling/token").status == 502)
            house.journal.isBroken.withLockedValue { $0 = true }
            let journal = try await client.send("GET", "/v1/accounts/cooling/token")
            #expect(journal.member("type") == "urn:perennial:problem:journal_unavailable")
            await house.backend.coordinator.shutDown()
            let late = try await client.send("GET", "/v1/accounts/cooling/token")
            #expect(late.member("type") == "urn:perennial:problem:shutting_down")
        }
    }

    @Test func anAccountOfAnotherProviderIsNotReplaced() async throws {
        let house = try House()
        try house.add("a", provider: "other")
        try await house.serve { client async throws in
            let response = try await client.send("PUT", "/v1/accounts/a", body: AccountTests.body)
            #expect(response.status == 409)
            #expect(response.member("type") == "urn:perennial:problem:other_provider")
        }
    }

    @Test func everyProblemHasATitleAndAnErrorStatus() {
        for code in Problem.Code.allCases {
            #expect(!code.title.isEmpty)
            #expect((400..<600).contains(code.status))
        }
    }
}
