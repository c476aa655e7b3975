import Providers
import RefreshCore
import MetricsTestKit
import Testing

@testable import Gateway

/// Whole calls, with everything around the gateway faked.
@Suite struct CallTests {
    @Test func aCallCarriesTheTokenAndComesBackUntouched() async throws {
        let house = House { _ in
            FakeAnswer(
                206, "some", "thing",
                headers: [("Content-Length", "9"), ("Content-Range", "bytes 0-8/9"), ("ETag", "x")])
        }
        house.tokens.generations.change { $0[account("a")] = 3 }
        let got = try await house.serve(
            FakeCaller("GET", "/gw/api/things?q=1", headers: [("Range", "bytes=0-8"), ("Accept-Encoding", "gzip")]))
        let seen = try #require(house.upstream.seen.current.first)
        #expect(seen.call.head.url == "https://api.example/v1/things?q=1")
        #expect(seen.header("authorization") == "Bearer a-3")
        #expect(seen.header("range") == "bytes=0-8")
        #expect(seen.header("accept-encoding") == "gzip")
        #expect(got.head?.status == 206)
        #expect(got.text == "something")
        #expect(got.framing == .length(9))
        #expect(got.header("content-range") == "bytes 0-8/9")
        #expect(got.header("perennial-attempts") == "1")
        #expect(got.header("perennial-account") == "a")
        #expect(got.informational == [103])
        #expect(house.tokens.refusals.current.isEmpty)
    }

    /// A 401, and an error that only the body tells: the caller sees one success, made with another token.
    @Test(arguments: [
        (401, "{}", ""), (400, #"{"error":"invalid_grant"}"#, ""),
        (200, #"{"code":40003,"msg":"token"}"#, "application/json"),
    ])
    func aTokenThatDiesIsReplacedAndTheCallMadeOnceMore(status: Int, body: String, type: String) async throws {
        var route = GatewayRoute.to()
        var code = RuleConditions()
        code.json = [.init(try JSONPointer("/code"), .equals(["40003"]))]
        route.rules = RuleList([ErrorRule(.refresh, code: "invalid_grant", status: 400), ErrorRule(.refresh, code)])
        let answers = Box<[FakeAnswer]>([])
        let house = House(route) { seen in
            let isOld = seen.header("authorization") == "Bearer a-1"
            let answer =
                isOld
                ? FakeAnswer(status, body, headers: type.isEmpty ? [] : [("Content-Type", type)])
                : FakeAnswer(200, #"{"code":0}"#, headers: [("Content-Type", "application/json")])
            answers.change { $0.append(answer) }
            return answer
        }
        let got = try await house.serve(FakeCaller("POST", body: ["hel", "lo"]))
        #expect(got.head?.status == 200)
        #expect(got.text == #"{"code":0}"#)
        #expect(got.header("perennial-attempts") == "2;token_refused")
        #expect(house.tokens.refusals.current == [account("a"): [Generation(1)]])
        // Headers made anew, the same body twice.
        #expect(house.upstream.seen.current.map { $0.header("authorization") } == ["Bearer a-1", "Bearer a-2"])
        #expect(house.upstream.seen.current.map { String(decoding: $0.body, as: UTF8.self) } == ["hello", "hello"])
        #expect(answers.current.first?.isCancelled.current == true)
    }

    @Test func aSecondRefusalIsPassedOn() async throws {
        let house = House { _ in FakeAnswer(401, "no", headers: [("WWW-Authenticate", "Bearer")]) }
        let got = try await house.serve()
        #expect(got.head?.status == 401)
        #expect(got.text == "no")
        #expect(got.header("perennial-attempts") == "2;token_refused,token_refused")
        #expect(house.upstream.seen.current.count == 2)
    }

    @Test func aRefusalThatNoRefreshHelpsAgainstIsPassedOnAtOnce() async throws {
        let house = House { _ in FakeAnswer(401, "no") }
        house.tokens.resting.change { $0 = [account("a")] }
        let got = try await house.serve()
        #expect(got.head?.status == 401)
        #expect(got.text == "no")
        #expect(got.header("perennial-attempts") == "1;token_refused,replaced_lately")
        #expect(house.upstream.seen.current.count == 1)
        #expect(house.tokens.refusals.current.isEmpty)
    }

    @Test func aPoolWhoseTokensAreAllRefusedIsToldOnceOfEach() async throws {
        let pools = FakePools("a", "b")
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        route.budget.tries = 9
        let house = House(route, pools: pools) { _ in FakeAnswer(401, "no") }
        _ = await house.failure()
        #expect(
            house.upstream.seen.current.map { $0.header("authorization") ?? "" }
                == ["Bearer a-1", "Bearer a-2", "Bearer b-1", "Bearer b-2"])
        #expect(pools.reports.current.map(\.account) == [account("a"), account("b")])
        #expect(pools.reports.current.map(\.generation) == [Generation(1), Generation(1)])
    }

    @Test func theQuotaOfOneAccountIsFollowedByTheNextAccount() async throws {
        let pools = FakePools("a", "b")
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        route.rules = RuleList([ErrorRule(.quota, status: 429)])
        route.dimension = .json(try JSONPointer("/model"))
        route.sessionHeader = "X-Session"
        let house = House(route, pools: pools) { seen in
            seen.header("authorization") == "Bearer a-1"
                ? FakeAnswer(429, "no", headers: [("Retry-After", "60")]) : FakeAnswer(200, "yes")
        }
        let model = String(repeating: "m-1", count: 50)
        let got = try await house.serve(
            FakeCaller("POST", headers: [("x-session", "s1")], body: [#"{"model":"\#(model)","#, #""x":[]}"#]))
        #expect(got.text == "yes")
        #expect(got.header("perennial-attempts") == "2;quota")
        #expect(got.header("perennial-account") == "b")
        let report = try #require(pools.reports.current.first)
        #expect(pools.reports.current.count == 1)
        #expect(report.account == account("a"))
        #expect(report.outcome == .quota)
        #expect(report.until == now + .seconds(60))
        #expect(report.dimension == model, "a long one is no other than itself")
        #expect(pools.requests.current.map(\.excluded) == [[], [account("a")]])
        #expect(pools.requests.current.map(\.dimension) == [model, model])
        #expect(pools.requests.current.map(\.session) == ["s1", "s1"])
        try await eventually { pools.leases.current.released == 2 }
    }

    /// Which makes the next cool-down short again; nobody waits for that, but for the end of one.
    @Test func aSuccessIsToldWhereACoolDownIsRemembered() async throws {
        let pools = FakePools("a")
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        var code = RuleConditions()
        code.json = [.init(try JSONPointer("/code"), .equals(["40003"]))]
        route.rules = RuleList([ErrorRule(.refresh, code)])
        route.budget.tries = 2
        let house = House(route, pools: pools) { seen in
            let url = seen.call.head.url
            if url.hasSuffix("missing") { return FakeAnswer(404) }
            let body = url.hasSuffix("refused") ? #"{"code":40003}"# : #"{"code":0}"#
            return FakeAnswer(200, body, headers: [("Content-Type", "application/json")])
        }
        try await house.serve()
        pools.remembered.change { $0 = [account("a")] }
        try await house.serve(FakeCaller("GET", "/gw/api/missing"))
        // A refusal that is passed on has the status of a success.
        try await house.serve(FakeCaller("GET", "/gw/api/refused"))
        #expect(pools.reports.current.map(\.outcome) == [.tokenRefused])
        pools.reporting.shut()
        try await house.serve()
        pools.reporting.open()
        try await eventually { pools.reports.current.count == 2 }
        #expect(pools.reports.current.last?.outcome == .ok)
        #expect(pools.reports.current.last?.lease != nil)
        // Whoever calls again would find the account cooling down, and its one try taken.
        pools.probing.change { $0 = true }
        pools.reporting.shut()
        let caller = FakeCaller()
        async let served: Void = { _ = try await house.serve(caller) }()
        try await eventually { pools.reporting.isWaitedFor }
        #expect(caller.answer.head == nil)
        pools.reporting.open()
        try await served
        #expect(pools.reports.current.count == 3)
    }

    @Test func whenAllAreSpentTheCallerLearnsWhen() async throws {
        let pools = FakePools("a", "b")
        var route = GatewayRoute.to("https://api.example", .pool(pool("p")))
        route.rules = RuleList([ErrorRule(.quota, status: 429)])
        let house = House(route, pools: pools) { _ in FakeAnswer(429, "no") }
        let failure = await house.failure()
        guard case .pool(let reason, _)? = failure?.reason else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(reason.retryAfter == .seconds(90))
        #expect(failure?.log.description == "2;quota,quota")
        try await eventually { pools.leases.current.released == 2 }
    }

    @Test func aRefusedTokenOfAPoolsAccountIsReportedAndTheAccountTriedAgain() async throws {
        let pools = FakePools("a", "b")
        let house = House(.to("https://api.example", .pool(pool("p"))), pools: pools) { seen in
            seen.header("authorization") == "Bearer a-2" ? FakeAnswer(200, "yes") : FakeAnswer(401)
        }
        let got = try await house.serve()
        #expect(got.header("perennial-account") == "a")
        #expect(got.header("perennial-attempts") == "2;token_refused")
        #expect(pools.reports.current.map(\.outcome) == [.tokenRefused])
        #expect(pools.reports.current.map(\.generation) == [Generation(1)])
        #expect(pools.requests.current.last?.preferred == account("a"))
        #expect(pools.requests.current.last?.refused == [account("a"): Generation(1)])
    }

    @Test func aProxyThatFailsIsTheAccountsAffair() async throws {
        let pools = FakePools("a", "b")
        let house = House(.to("https://api.example", .pool(pool("p"))), pools: pools) { seen throws(UpstreamFailure) in
            guard seen.header("authorization") == "Bearer b-1" else {
                throw UpstreamFailure(.proxy, isUnsent: true, "the proxy is gone")
            }
            return FakeAnswer(200, "yes")
        }
        let got = try await house.serve()
        #expect(got.header("perennial-attempts") == "2;proxy_failed")
        #expect(pools.reports.current.map(\.outcome) == [.failed])
    }

    /// A proxy that swallows packets, and a token that cannot be sent: the next account's turn.
    @Test func whatKeepsAnAccountFromBeingUsedIsFollowedByTheNextAccount() async throws {
        let pools = FakePools("a", "b")
        pools.proxies.change { $0[account("a")] = try! ProxySetting("http://127.0.0.2:3128") }
        let house = House(.to("https://api.example", .pool(pool("p"))), pools: pools) { seen throws(UpstreamFailure) in
            guard seen.call.proxy == nil else {
                throw UpstreamFailure(.timeout, isUnsent: true, "no connection in time")
            }
            return FakeAnswer(200, "yes")
        }
        let got = try await house.serve()
        #expect(got.header("perennial-attempts") == "2;proxy_failed")
        #expect(got.header("perennial-account") == "b")
        #expect(pools.reports.current.map(\.outcome) == [.failed])

        let others = FakePools("a", "b")
        others.texts.change { $0[account("a")] = "evil\r\nX: 1" }
        let second = House(.to("https://api.example", .pool(pool("p"))), pools: others) { _ in FakeAnswer(200, "yes") }
        let next = try await second.serve()
        #expect(next.header("perennial-attempts") == "2;token_unusable")
        #expect(next.header("perennial-account") == "b")
        #expect(second.upstream.seen.current.count == 1)

        // Without a proxy nobody is to blame but the upstream, and a sent request is not made again.
        for isUnsent in [true, false] {
            let third = House(.to("https://api.example", .pool(pool("p"))), pools: FakePools("a", "b")) {
                _ throws(UpstreamFailure) in
                throw UpstreamFailure(.timeout, isUnsent: isUnsent, "no")
            }
            guard case .upstream(let failure)? = await third.failure()?.reason else {
                Issue.record("there was an answer")
                return
            }
            #expect(failure.kind == .timeout)
            #expect(third.upstream.seen.current.count == 1)
        }
    }

    /// The account's proxy would see the token in the clear, and its loopback is not ours.
    @Test(arguments: [
        ("http://127.0.0.1:9000", "http://proxy.example:3128", false),
        ("http://localhost:9000", "socks5h://10.0.0.1:1080", false),
        ("http://127.0.0.1:9000", "http://127.0.0.1:3128", true),
        ("https://127.0.0.1:9000", "http://proxy.example:3128", true),
        ("https://api.example", "http://proxy.example:3128", true),
    ])
    func whatGoesToThisMachineInTheClearDoesNotLeaveIt(upstream: String, proxy: String, isUsed: Bool) async throws {
        let house = House(.to(upstream)) { _ in FakeAnswer(200) }
        house.tokens.generations.change { $0[account("a")] = 1 }
        house.tokens.proxies.change { $0[account("a")] = try! ProxySetting(proxy) }
        try await house.serve()
        #expect((house.upstream.seen.current.first?.call.proxy != nil) == isUsed)
    }

    @Test func aTokenWithALineBreakIsNeverSent() async throws {
        let house = House { _ in FakeAnswer(200) }
        for text in ["", "evil\r\nX-Admin: 1", "a\u{0}b"] {
            house.tokens.generations.change { $0[account("a")] = 1 }
            house.tokens.texts.change { $0[account("a")] = text }
            let failure = await house.failure()
            guard case .upstream(let reason)? = failure?.reason else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(reason.kind == .token)
            #expect(!reason.message.contains("evil"))
            #expect(house.upstream.seen.current.isEmpty)
        }
    }

    @Test func streamsComePieceByPiece() async throws {
        var route = GatewayRoute.to()
        var code = RuleConditions()
        code.json = [.init(try JSONPointer("/code"), .equals(["40003"]))]
        route.rules = RuleList([ErrorRule(.refresh, code)])
        let house = House(route) { _ in
            FakeAnswer(
                200, "data: 1\n\n", "data: 2\n\n", headers: [("Content-Type", "text/event-stream")],
                trailers: [("X-Sum", "7"), ("Transfer-Encoding", "x")])
        }
        let got = try await house.serve()
        #expect(got.framing == .chunked)
        #expect(got.writes == [9, 9])
        #expect(got.trailers?.map(\.name) == ["X-Sum"])
    }

    @Test func headHasNoBodyAndKeepsItsLength() async throws {
        let house = House { _ in FakeAnswer(200, headers: [("Content-Length", "1000")]) }
        let got = try await house.serve(FakeCaller("HEAD"))
        #expect(got.framing == .bodiless)
        #expect(got.header("content-length") == "1000")
        let named = House { _ in
            FakeAnswer(200, headers: [("Content-Length", "1000"), ("Connection", "content-length")])
        }
        #expect(try await named.serve(FakeCaller("HEAD")).header("content-length") == "1000")
        // RFC 9110 §8.6.
        let house204 = House { _ in FakeAnswer(204, headers: [("Content-Length", "0")]) }
        let none = try await house204.serve()
        #expect(none.framing == .bodiless)
        #expect(none.header("content-length") == nil)
        let house304 = House { _ in FakeAnswer(304, headers: [("ETag", "x")]) }
        #expect(try await house304.serve().framing == .bodiless)
    }

    @Test func aCutAnswerIsNoWholeOne() async throws {
        let cut = UpstreamFailure(.broken, isUnsent: false, "cut")
        for headers: [HeaderField] in [[], [("Content-Length", "100")]] {
            let house = House { _ in FakeAnswer(200, "beginning", headers: headers, failure: cut) }
            let caller = FakeCaller()
            let failure = await house.failure(caller)
            guard case .cut? = failure?.reason else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(caller.answer.text == "beginning")
            #expect(caller.answer.trailers == nil)
            let counter = try house.metrics.expectCounter("perennial_gateway_cut_total", [("route", "api")])
            #expect(counter.totalValue == 1)
        }
    }

    @Test func anAnswerWithTwoLengthsIsRefused() async throws {
        let house = House { _ in FakeAnswer(200, "abc", headers: [("Content-Length", "3"), ("Content-Length", "5")]) }
        guard case .upstream(let reason)? = await house.failure()?.reason else {
            Issue.record("it was passed on")
            return
        }
        #expect(reason.kind == .broken)
    }

    @Test func largeBodiesAreReplayedFromAFileAndLargerOnesAreSentOnce() async throws {
        var route = GatewayRoute.to()
        route.replay.memory = 10
        route.replay.file = 100
        let pieces = (0..<9).map { String(repeating: "\($0)", count: 10) }
        for isChunked in [false, true] {
            let house = House(route) { seen in
                seen.header("authorization") == "Bearer a-1" ? FakeAnswer(401) : FakeAnswer(200, "ok")
            }
            let got = try await house.serve(FakeCaller("PUT", body: pieces, isChunked: isChunked))
            #expect(got.text == "ok")
            #expect(
                house.upstream.seen.current.map { String(decoding: $0.body, as: UTF8.self) }
                    == [pieces.joined(), pieces.joined()])
            guard case .stream(let length, _)? = house.upstream.seen.current.first?.call.body else {
                Issue.record("the body was not streamed")
                return
            }
            #expect(length == 90)

            let large = House(route) { _ in FakeAnswer(401, "no") }
            let more = pieces + pieces
            let once = try await large.serve(FakeCaller("PUT", body: more, isChunked: isChunked))
            #expect(once.head?.status == 401)
            #expect(once.header("perennial-attempts") == "1;token_refused,not_replayable")
            #expect(large.upstream.seen.current.map { String(decoding: $0.body, as: UTF8.self) } == [more.joined()])
            // The next call has a new token all the same.
            try await eventually { large.tokens.refusals.current == [account("a"): [Generation(1)]] }
        }
    }

    @Test func aBodyThatIsCutOrSlowIsTheCallersFault() async throws {
        for fault in [CallerFault.malformed, .slow, .gone] {
            let house = House { _ in FakeAnswer(200) }
            let failure = await house.failure(FakeCaller("POST", body: ["a"], isChunked: true, fault: fault))
            switch (fault, failure?.reason) {
            case (.malformed, .refused(.body, _)?), (.slow, .refused(.slowBody, _)?), (.gone, .callerGone?): break
            default: Issue.record("\(String(describing: failure))")
            }
            #expect(house.upstream.seen.current.isEmpty)
        }
    }

    @Test(arguments: [
        ("CONNECT", "/gw/api/x", [], "method_not_allowed"), ("TRACE", "/gw/api/x", [], "method_not_allowed"),
        ("GET", "/gw/other/x", [], "route_not_found"), ("GET", "/gw/api/../x", [], "path_refused"),
        ("GET", "/gw/api/x?a b", [], "path_refused"), ("GET", "/gw/api/x", ["Upgrade: websocket"], "upgrade_refused"),
        ("GET", "/gw/api/x", ["Upgrade: h2c, foo/1"], "upgrade_refused"),
        (
            "GET", "/gw/api/x", ["Via: 1.1 perennial,1.1 perennial,1.1 perennial,1.1 perennial,1.1 perennial"],
            "loop_detected"
        ),
        ("GET", "/gw/api/x", ["X-Choice: nobody"], "choice_refused"), ("GET", "/gw/api/x", [], "choice_missing"),
    ])
    func whatIsRefusedNeverReachesTheUpstream(
        method: String, target: String, headers: [String], refusal: String
    ) async throws {
        var route = GatewayRoute.to()
        if refusal.hasPrefix("choice") {
            route.source = nil
            route.choice = SourceChoice(header: "X-Choice", accounts: ["a"])
        }
        let house = House(route) { _ in FakeAnswer(200) }
        let fields: [HeaderField] = headers.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: String(parts[1].dropFirst()))
        }
        guard case .refused(let got, _)? = await house.failure(FakeCaller(method, target, headers: fields))?.reason
        else {
            Issue.record("it was not refused")
            return
        }
        #expect(got.rawValue == refusal)
        #expect(house.upstream.seen.current.isEmpty)
    }

    @Test func compressionIsPassedOnOnlyWhereNoRuleHasToReadBodies() async throws {
        var conditions = RuleConditions()
        conditions.contains = ["quota"]
        for (rules, compression, passes) in [
            ([], Compression.auto, true), ([ErrorRule(.quota, conditions)], .auto, false),
            ([ErrorRule(.quota, conditions)], .pass, true), ([], .off, false),
        ] as [([ErrorRules.APIRule], Compression, Bool)] {
            var route = GatewayRoute.to()
            route.rules = RuleList(rules)
            route.compression = compression
            let house = House(route) { _ in FakeAnswer(200) }
            try await house.serve(FakeCaller(headers: [("Accept-Encoding", "gzip")]))
            #expect((house.upstream.seen.current.first?.header("accept-encoding") != nil) == passes)
        }
    }

    @Test func failuresOfTokensAreToldAsTheyAre() async throws {
        let house = House { _ in FakeAnswer(200) }
        house.tokens.failure.change { $0 = RefreshFailure(.reauthRequired, "log in again") }
        guard case .token(let failure, let id)? = await house.failure()?.reason else {
            Issue.record("there was an answer")
            return
        }
        #expect(failure.code == .reauthRequired)
        #expect(id == account("a"))
    }

    @Test func countsAreKept() async throws {
        let house = House { seen in
            seen.header("authorization") == "Bearer a-1" ? FakeAnswer(401) : FakeAnswer(200, "ok")
        }
        try await house.serve()
        let metrics = house.metrics
        let route = ("route", "api")
        #expect(
            try metrics.expectCounter("perennial_gateway_requests_total", [route, ("code", "200")]).totalValue == 1)
        #expect(try metrics.expectCounter("perennial_gateway_retries_total", [route]).totalValue == 1)
        #expect(
            try metrics.expectCounter(
                "perennial_gateway_verdicts_total", [route, ("verdict", "token_refused")]
            ).totalValue == 1)
        #expect(try metrics.expectTimer("perennial_gateway_duration_seconds", [route]).values.count == 1)
        #expect(try metrics.expectMeter("perennial_gateway_calls").lastValue == 0)
        house.gateway.failed(FakeCaller("GET", "/gw/made-up/x").request, status: 404, AttemptLog())
        #expect(
            try metrics.expectCounter(
                "perennial_gateway_requests_total", [("route", "unknown"), ("code", "404")]
            ).totalValue == 1)
    }
}

struct TimedOut: Error {}

/// Waits until `condition` holds.
func eventually(_ condition: @Sendable () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(2))
    }
}
