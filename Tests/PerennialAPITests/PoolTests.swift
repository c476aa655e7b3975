import PerennialTesting
import RefreshCore
import Testing

@testable import PerennialAPI

/// `/v1/pools`.
@Suite struct PoolTests {
    private static func house(
        fallback: String? = nil, _ change: (inout PoolSettings) -> Void = { _ in }
    ) throws -> House {
        let warp = try PoolName("warp")
        var settings = PoolSettings(name: warp)
        settings.strategy = .fillFirst
        change(&settings)
        let house = try House(
            pools: [settings], poolTokens: fallback.map { [warp: FallbackToken(token: Secret($0), pool: warp)] } ?? [:])
        for (name, tier) in [("a", "anonymous"), ("b", "personal")] {
            try house.add(name, token: "at-\(name)") { account in
                account.pool = warp
                account.tier = try? TierName(tier)
            }
        }
        return house
    }

    @Test func aTokenOfAPoolNamesItsAccountAndGeneration() async throws {
        try await Self.house().serve { client async throws in
            let response = try await client.send("GET", "/v1/pools/warp/token?dimension=gpt-5&session=s&min_ttl=60")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"account":"a","access_token":"at-a","token_type":"Bearer","expires_at":"2026-11-21T10:57:00Z","#
                    + #""expires_in":3600,"generation":17,"source":"memory","stale":false,"pool":"warp","#
                    + #""tier":"anonymous","lease":null}"#, "\(response.body)")
            #expect(response.headers["cache-control"] == "no-store")
            #expect(response.headers["etag"] == nil)
            let other = try await client.send("GET", "/v1/pools/warp/token?exclude=a,x")
            #expect(other.member("account") == "b" && other.member("tier") == "personal")
        }
    }

    @Test func aReportTakesTheAccountOutAndAnswersTheNextToken() async throws {
        try await Self.house().serve { client async throws in
            let quota = try await client.send(
                "POST", "/v1/pools/warp/report",
                body: #"{"account":"a","generation":17,"outcome":"quota","retry_after":300,"cause":"HTTP 429"}"#)
            #expect(quota.status == 200)
            #expect(quota.headers["cache-control"] == "no-store")
            #expect(
                quota.body.hasPrefix(
                    #"{"outcome":"quota","cooldown":{"account":"a","dimension":null,"since":"2026-11-21T09:57:00Z","#
                        + #""until":"2026-11-21T10:02:01Z","repeats":1,"told":true,"cause":"HTTP 429"},"next":{"account":"b""#
                ),
                "\(quota.body)")
            #expect(try await client.send("GET", "/v1/pools/warp/token").member("account") == "b")
            let ok = try await client.send(
                "POST", "/v1/pools/warp/report", body: #"{"account":"b","generation":17,"outcome":"ok"}"#)
            #expect(ok.body == #"{"outcome":"ok","cooldown":null,"next":null}"#)
            // Nothing is left: the report counts all the same.
            let last = try await client.send(
                "POST", "/v1/pools/warp/report", body: #"{"account":"b","generation":17,"outcome":"throttled"}"#)
            #expect(last.status == 429)
            #expect(last.headers["content-type"] == "application/problem+json")
            #expect(["10", "11"].contains(last.headers["retry-after"]))
            #expect(last.member("type") == "urn:perennial:problem:pool_exhausted")
            #expect(last.member("next_at") == "2026-11-21T09:57:11Z")
            let shown = try await client.send("GET", "/v1/pools/warp")
            #expect(
                shown.body.contains(#""accounts":2,"available":0,"next_at":"2026-11-21T09:57:11Z""#), "\(shown.body)")
            #expect(shown.body.contains(#"{"account":"b","tier":"personal","state":"cooling_down""#))
            #expect(!shown.body.contains("at-a") && !shown.body.contains("at-b"))
        }
    }

    @Test func aRefusedTokenIsReplacedAndTheSameAccountGoesOn() async throws {
        let house = try Self.house()
        try await house.serve { client async throws in
            let response = try await client.send(
                "POST", "/v1/pools/warp/report",
                body: #"{"account":"a","generation":17,"outcome":"token_refused"}"#)
            #expect(response.status == 200)
            #expect(response.body.contains(#""next":{"account":"a""#) && response.body.contains(#""generation":18"#))
            #expect(house.fleet.begins.count == 1)
        }
    }

    @Test func aGenerationThatThereHasNeverBeenIsAConflict() async throws {
        let house = try Self.house { $0.maxConcurrent = 1 }
        try await house.serve { client async throws in
            let lease = try #require(try await client.send("GET", "/v1/pools/warp/token").member("lease"))
            let response = try await client.send(
                "POST", "/v1/pools/warp/report",
                body: #"{"account":"a","generation":500,"outcome":"token_refused","lease":"\#(lease)"}"#)
            #expect(response.status == 409)
            #expect(response.member("type") == "urn:perennial:problem:generation_conflict")
            #expect(house.fleet.begins.isEmpty)
            // The call is over all the same.
            #expect(try await client.send("GET", "/v1/pools/warp/token").member("account") == "a")
        }
    }

    @Test(arguments: [
        ("-5", 60), ("0", 60), ("0.0", 60), ("null", 60), ("2.5", 3), ("300", 300), ("1e30", 7 * 86_400),
        ("9223372036854775807", 7 * 86_400),
    ])
    func oddWaitsOfAProviderKeepNoReportFromCounting(wait: String, seconds: Int64) async throws {
        let house = try Self.house()
        try await house.serve { client async throws in
            let response = try await client.send(
                "POST", "/v1/pools/warp/report",
                body: #"{"account":"a","generation":17,"outcome":"quota","retry_after":\#(wait)}"#)
            #expect(response.status == 200, "\(response.body)")
            let end = try #require(try await house.cooldowns.cooldowns(of: try PoolName("warp")).value.first?.until)
            let length = end - house.time.wall()
            #expect(length <= .seconds(seconds) && length > .seconds(seconds - 1))
        }
    }

    @Test func callsAreCountedAndAReportEndsThem() async throws {
        let house = try Self.house { $0.maxConcurrent = 1 }
        try await house.serve { client async throws in
            let first = try await client.send("GET", "/v1/pools/warp/token")
            let lease = try #require(first.member("lease"))
            #expect(lease.hasPrefix("s-") && first.member("account") == "a")
            #expect(try await client.send("GET", "/v1/pools/warp/token").member("account") == "b")
            let full = try await client.send("GET", "/v1/pools/warp/token")
            #expect(full.status == 429 && full.headers["retry-after"] == "1")
            let report = try await client.send(
                "POST", "/v1/pools/warp/report", body: #"{"account":"a","outcome":"ok","lease":"\#(lease)"}"#)
            #expect(report.status == 200)
            #expect(try await client.send("GET", "/v1/pools/warp/token").member("account") == "a")
        }
    }

    @Test func theFallbackOfAPoolIsMarked() async throws {
        try await Self.house(fallback: "stand-in").serve { client async throws in
            let response = try await client.send("GET", "/v1/pools/warp/token?exclude=a,b")
            #expect(response.status == 200)
            #expect(
                response.body
                    == #"{"account":null,"access_token":"stand-in","token_type":"Bearer","expires_at":null,"#
                    + #""expires_in":null,"generation":null,"source":"fallback","stale":true,"#
                    + #""reason":"pool_exhausted","pool":"warp"}"#)
            #expect(response.headers["x-perennial-source"] == "fallback")
        }
    }

    @Test func peoplePutAccountsAsideAndTakeThemBack() async throws {
        let house = try Self.house()
        try await house.serve { client async throws in
            let aside = try await client.send(
                "POST", "/v1/pools/warp/cooldown", body: #"{"account":"a","for":600,"dimension":"gpt-5"}"#)
            #expect(aside.status == 200 && aside.member("cause") == "put here by hand")
            #expect(try await client.send("GET", "/v1/pools/warp/token?dimension=gpt-5").member("account") == "b")
            #expect(try await client.send("GET", "/v1/pools/warp/token").member("account") == "a")
            let released = try await client.send("POST", "/v1/pools/warp/release")
            #expect(released.body == #"{"pool":"warp","released":[{"account":"a","dimension":"gpt-5"}]}"#)
            #expect(try await client.send("GET", "/v1/pools/warp/token?dimension=gpt-5").member("account") == "a")
            let list = try await client.send("GET", "/v1/pools")
            #expect(
                list.body
                    == #"{"pools":[{"name":"warp","strategy":"fill_first","accounts":2,"available":2,"next_at":null,"#
                    + #""acquires":false,"fallback":false,"max_concurrent":null,"tiers":["#
                    + #"{"name":"anonymous","accounts":1,"available":1},{"name":"shared","accounts":0,"available":0},"#
                    + #"{"name":"personal","accounts":1,"available":1}]}]}"#, "\(list.body)")
        }
    }

    @Test(arguments: [
        ("GET", "/v1/pools/nowhere/token", "", 404, "no pool nowhere"),
        ("GET", "/v1/pools/a%20b/token", "", 404, "only letters"),
        ("GET", "/v1/pools/warp/token?excluded=a", "", 400, "unknown parameter"),
        ("GET", "/v1/pools/warp/token?exclude=a%20b", "", 400, "account id"),
        ("GET", "/v1/pools/warp/token?min_ttl=soon", "", 400, "min_ttl"),
        ("GET", "/v1/pools/warp/token?dimension=a%0D%0Ab", "", 400, "dimension"),
        ("HEAD", "/v1/pools/warp/token", "", 405, ""),
        ("POST", "/v1/pools/warp/report", "{}", 400, "account is missing"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a"}"#, 400, "outcome has to be one of"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"bad"}"#, 400, "outcome has to be one of"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"token_refused"}"#, 400, "generation is missing"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"ok","generation":-1}"#, 400, "generation"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"ok","lease":"mine"}"#, 400, "lease"),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"ok","exclude":"b"}"#, 400, "exclude"),
        (
            "POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"quota","until":1,"retry_after":2}"#, 400,
            "exclude each other"
        ),
        ("POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"ok","nxet":true}"#, 400, "unknown field"),
        (
            "POST", "/v1/pools/warp/report", #"{"account":"a","outcome":"quota","retry_after":"soon"}"#, 400,
            "retry_after"
        ),
        ("POST", "/v1/pools/warp/report", #"{"account":"stranger","outcome":"quota"}"#, 404, "is not in pool warp"),
        ("POST", "/v1/pools/warp/cooldown", #"{"account":"a"}"#, 400, "for how long"),
        ("POST", "/v1/pools/warp/cooldown", #"{"account":"a","until":"2020-01-01T00:00:00Z"}"#, 400, "over already"),
        ("POST", "/v1/pools/warp/cooldown", #"{"account":"stranger","for":5}"#, 404, "is not in pool warp"),
        ("POST", "/v1/pools/warp/release", #"{"acount":"a"}"#, 400, "unknown field"),
        ("GET", "/v1/pools/warp/tokens", "", 404, "nothing at this path"),
    ])
    func badInput(_ method: String, _ path: String, _ body: String, _ status: Int, _ words: String) async throws {
        let house = try Self.house()
        try await house.serve { client async throws in
            let response = try await client.send(method, path, body: body.isEmpty ? nil : body)
            #expect(response.status == status)
            #expect(words.isEmpty || response.body.contains(words), "\(response.body)")
            // Nothing came of it.
            #expect(try await house.cooldowns.cooldowns(of: try PoolName("warp")).value.isEmpty)
        }
    }

    @Test func withoutPoolsThereIsNothing() async throws {
        try await House().serve { client async throws in
            #expect(try await client.send("GET", "/v1/pools").body == #"{"pools":[]}"#)
            let response = try await client.send("GET", "/v1/pools/warp/token")
            #expect(response.status == 404 && response.member("type") == "urn:perennial:problem:pool_not_found")
        }
    }
}
