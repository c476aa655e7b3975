import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct FallbackTests {
    @Test func aFallbackTokenIsMarkedAndNothingIsClaimedOfIt() async throws {
        let house = try House(fallbacks: ["a": "stand-in"])
        try house.add("a", life: .seconds(-10))
        house.endpoint.answer(.ambiguous("HTTP 502"))
        try await house.serve { client async throws in
            for path in ["/v1/accounts/a/token", "/v1/accounts/a/token?min_ttl=5"] {
                let response = try await client.send("GET", path)
                #expect(response.status == 200)
                #expect(
                    response.body
                        == #"{"account":"a","access_token":"stand-in","token_type":"Bearer","expires_at":null,"#
                        + #""expires_in":null,"generation":null,"source":"fallback","stale":true,"#
                        + #""reason":"outcome_unknown"}"#)
                #expect(response.headers["x-perennial-source"] == "fallback")
                #expect(response.headers["cache-control"] == "no-store")
                #expect(response.headers["etag"] == nil)
            }
            // No condition matches what has no generation; and a 401 with it asks nobody for anything.
            let conditional = try await client.send(
                "GET", "/v1/accounts/a/token", headers: ["If-None-Match: \"17\""])
            #expect(conditional.status == 200)
            let begins = house.fleet.begins.count
            for _ in 0..<100 {
                let refused = try await client.send("GET", "/v1/accounts/a/token?refused_generation=17")
                #expect(refused.member("source") == "fallback")
            }
            #expect(house.fleet.begins.count <= begins + 1)
        }
    }

    @Test func itsOwnTokenGoesBeforeOnTheWarmPathToo() async throws {
        let house = try House(fallbacks: ["a": "stand-in", "paused": "stand-in"])
        try house.addWarm("a")
        try house.add("paused", life: .seconds(-10)) { $0.enabled = false }
        try await house.serve { client async throws in
            let warm = try await client.send("GET", "/v1/accounts/a/token")
            #expect(warm.member("source") == "memory" && warm.member("access_token") == "at-17")
            #expect(warm.headers["x-perennial-source"] == nil)
            #expect(try await client.send("GET", "/v1/accounts/paused/token").status == 409)
            #expect(try await client.send("GET", "/v1/accounts/ghost/token").status == 404)
        }
    }
}

/// A pool whose accounts a test sets.
private final class OnePool: PoolStore {
    let accounts = NIOLockedValueBox<[AccountSnapshot]>([])

    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] { accounts.withLockedValue { $0 } }
    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError) {}
}

@Suite struct PoolFallbackTests {
    @Test func theTokenOfAPoolIsMarkedAndNamesThePool() async throws {
        let (warp, pool) = (try PoolName("warp"), OnePool())
        let house = try House(
            poolFallbacks: PoolFallbacks(
                tokens: [warp: FallbackToken(token: Secret("stand-in"), pool: warp)], store: pool, rest: .zero))
        try house.add("a", life: .seconds(-10)) { $0.pool = warp }
        try house.add("outsider", life: .seconds(-10))
        house.endpoint.answer(.ambiguous("HTTP 502"))
        let other = try house.add("b") { $0.pool = warp }
        pool.accounts.withLockedValue { $0 = [other] }
        try await house.serve { client async throws in
            #expect(try await client.send("GET", "/v1/accounts/a/token").status != 200, "b has a valid token")
            pool.accounts.withLockedValue { $0 = [] }
            let response = try await client.send("GET", "/v1/accounts/a/token")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"account":"a","access_token":"stand-in","token_type":"Bearer","expires_at":null,"#
                    + #""expires_in":null,"generation":null,"source":"fallback","stale":true,"#
                    + #""reason":"outcome_unknown","pool":"warp"}"#)
            #expect(response.headers["x-perennial-source"] == "fallback")
            #expect(response.headers["cache-control"] == "no-store")
            #expect(response.headers["etag"] == nil)
            #expect(try await client.send("GET", "/v1/accounts/outsider/token").status != 200)
        }
    }
}

@Suite struct ProviderRouteTests {
    @Test func aPausedProviderIsShownWithItsCause() async throws {
        let house = try House()
        let acme = try ProviderName("acme")
        let until = house.time.wall() + .seconds(60)
        house.monitor.conditions.withLockedValue {
            $0[acme] = ProviderCondition(
                provider: acme, pausedUntil: until, cause: RefreshFault(kind: .ambiguous, message: "HTTP 502"),
                circuit: .open, failures: 7)
        }
        try await house.serve { client async throws in
            let response = try await client.send("GET", "/v1/providers")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"providers":[{"name":"acme","circuit":"open","failures":7,"#
                    + #""paused_until":"2026-11-21T09:58:00Z","cause":{"kind":"ambiguous","message":"HTTP 502"},"#
                    + #""rate_limit":null}]}"#)
            #expect(try await client.send("GET", "/v1/providers?x=1").status == 400)
            #expect(try await client.send("POST", "/v1/providers").status == 405)
        }
    }
}

@Suite struct RefusedTokenTests {
    @Test(arguments: [
        (PutReply.refusedBefore(House.start), "refresh_token_refused", "was refused by acme on 2026-11-21T09:57:00Z"),
        (.tokenInUse(by: try! AccountID("bob")), "refresh_token_in_use", "was given to account bob already"),
    ])
    func whatIsTurnedAwaySaysWhyAndHowToForceIt(reply: PutReply, code: String, words: String) async throws {
        let house = try House()
        house.fleet.state.withLockedValue { $0.putReply = reply }
        try await house.serve { client async throws in
            let body = #"{"provider":"acme","refresh_token":"rt-secret"}"#
            let response = try await client.send("PUT", "/v1/accounts/a", body: body)
            #expect(response.status == 409)
            #expect(response.member("type") == "urn:perennial:problem:\(code)")
            let detail = response.member("detail") ?? ""
            #expect(detail.contains(words) && detail.contains("\"force\": true") && !detail.contains("rt-secret"))
            let forced = try await client.send(
                "PUT", "/v1/accounts/a",
                body: #"{"provider":"acme","refresh_token":"rt-secret","force":true,"grant_expires_at":1798000000}"#)
            #expect(forced.status == 201)
            let put = house.fleet.state.withLockedValue { $0.puts.last }
            #expect(put?.credentials.grantExpiresAt == WallTime(milliseconds: 1_798_000_000_000))
            let past = try await client.send(
                "PUT", "/v1/accounts/a", body: #"{"provider":"acme","refresh_token":"r","grant_expires_at":1}"#)
            #expect(past.status == 400)
        }
    }
}
