import Gateway
import Logging
import MetricsTestKit
import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import PerennialAPI

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The gateway at the real server.
@Suite struct GatewayServerTests {
    private static func get(_ target: String, _ headers: String...) -> String {
        "GET \(target) HTTP/1.1\r\nHost: localhost\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
    }

    @Test func callsAndReadsKeepTheirOrderOnOneConnection() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { seen in .whole(200, "call \(seen.url.suffix(2))") }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let targets = (0..<60).map { index in
                switch index % 4 {
                case 0: "/v1/accounts/a/token"
                case 1: "/gw/api/\(index)"
                case 2: "/v1/accounts/a"
                default: "/gw/nowhere/x"
                }
            }
            let outcome = try await client.exchange(targets.map { Self.get($0) }.joined(), count: targets.count)
            for (index, response) in outcome.responses.enumerated() {
                switch index % 4 {
                case 0: #expect(response.member("account") == "a")
                case 1: #expect(response.body.hasPrefix("call "))
                case 2: #expect(response.member("id") == "a")
                default:
                    #expect(response.status == 404)
                    #expect(response.member("type") == "urn:perennial:problem:route_not_found")
                }
            }
            #expect(outcome.responses.count == targets.count)
        }
    }

    @Test func aBodyInManyPiecesArrivesWhole() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { .whole(200, "\($0.body.utf8.count)") }
        try await house.serve(gateway: try house.gateway(upstream) { $0.replay.memory = 1000 }) { client async throws in
            // In memory, in a file, and streamed.
            for size in [500, 100_000, 20_000_000] {
                let outcome = try await client.send(
                    "POST", "/gw/api/x", body: String(repeating: "x", count: size))
                #expect(outcome.body == "\(size)")
            }
        }
    }

    @Test func whoAsksFirstIsToldToGoOn() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { .whole(200, "got \($0.body)") }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(
                "POST /gw/api/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            _ = try await wire.read { $0 == "HTTP/1.1 100 Continue\r\n\r\n" }
            try await wire.send("abc")
            let text = try await wire.read { $0.hasSuffix("got abc") }
            #expect(text.components(of: "100 Continue") == 1)
            #expect(upstream.calls.first?.header("expect") == nil)

            // A refusal comes instead, and what is not sent is not waited for.
            let refused = try await Wire(client)
            try await refused.send(
                "POST /gw/nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            let answer = try await refused.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 404 "))
            #expect(answer.contains("Connection: close"))
        }
    }

    @Test func eventsArriveAsTheyComeWithTheirTrailers() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(
            200, headers: [("Content-Type", "text/event-stream"), ("Trailer", "X-Sum")],
            trailers: [("X-Sum", "3"), ("Bad\r\nName", "x")])
        let early = GatewayAnswerHead(status: 103, reason: "Early Hints", headers: [("Link", "</a>")])
        let upstream = ScriptedUpstream(informational: [early]) { _ in answer }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.get("/gw/api/events"))
            let head = try await wire.read { $0.contains("chunked\r\n\r\n") }
            #expect(head.hasPrefix("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\n"))
            for number in 1...3 {
                answer.give("data: \(number)\n\n")
                _ = try await wire.read { $0.hasSuffix("9\r\ndata: \(number)\n\n\r\n") }
            }
            answer.complete()
            _ = try await wire.read { $0.hasSuffix("0\r\nX-Sum: 3\r\n\r\n") }
            // The connection goes on.
            try await wire.send(Self.get("/v1/accounts/a/token"))
            _ = try await wire.read { $0.contains("at-17") }
        }
    }

    @Test func headAndNotModifiedHaveNoBody() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { seen in
            let answer =
                seen.method == "HEAD"
                ? ScriptedAnswer(200, headers: [("Content-Length", "1000")])
                : ScriptedAnswer(304, headers: [("ETag", "e")])
            answer.complete()
            return answer
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let outcome = try await client.exchange(
                "HEAD /gw/api/x HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.get("/gw/api/y"), count: 2, bodiless: [0])
            #expect(outcome.responses.map(\.status) == [200, 304])
            #expect(outcome.responses[0].headers["content-length"] == "1000")
            #expect(outcome.responses[1].headers["transfer-encoding"] == nil)
            let missing = try await client.send("HEAD", "/gw/nowhere/x")
            #expect(missing.status == 404)
        }
    }

    @Test func clientsOfHTTP10GetTheEndOfTheConnection() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in
            let answer = ScriptedAnswer(200)
            answer.give("abc")
            answer.complete()
            return answer
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send("GET /gw/api/x HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            let text = try await wire.readToEnd()
            #expect(text.hasSuffix("Connection: close\r\n\r\nabc"))
            #expect(!text.contains("chunked"))
        }
    }

    @Test func aCallerThatGoesAwayEndsTheCall() async throws {
        let house = try House()
        try house.addWarm("a")
        let answers = NIOLockedValueBox<[ScriptedAnswer]>([])
        let upstream = ScriptedUpstream { _ in
            let answer = ScriptedAnswer(200)
            answers.withLockedValue { $0.append(answer) }
            return answer
        }
        let metrics = TestMetrics()
        let gateway = try house.gateway(upstream, metrics: metrics)
        try await house.serve(gateway: gateway) { client async throws in
            for hasBegun in [false, true] {
                let wire = try await Wire(client)
                try await wire.send(Self.get("/gw/api/x"))
                let number = hasBegun ? 2 : 1
                try await eventually { answers.withLockedValue { $0.count } == number }
                if hasBegun {
                    answers.withLockedValue { $0 }[1].give("abc")
                    _ = try await wire.read { $0.contains("abc") }
                }
                try await wire.close()
                try await eventually { answers.withLockedValue { $0 }[number - 1].isCancelled }
            }
            let calls = try metrics.expectMeter("perennial_gateway_calls")
            try await eventually { calls.lastValue == 0 }
            #expect(
                try metrics.expectCounter("perennial_gateway_abandoned_total", [("route", "api")]).totalValue == 2)
        }
    }

    @Test func aCallerThatDoesNotReadHoldsUpTheUpstream() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200)
        let piece = String(repeating: "x", count: 64 * 1024)
        let count = 1000
        for _ in 0..<count { answer.give(piece) }
        answer.complete()
        let upstream = ScriptedUpstream { _ in answer }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client, autoRead: false)
            try await wire.send(Self.get("/gw/api/x"))
            // As much as fits into the sockets, and no more.
            var taken = -1
            while taken != answer.taken || taken == 0 {
                taken = answer.taken
                try await Task.sleep(for: .milliseconds(200))
            }
            #expect(taken < count * piece.utf8.count / 2)
            try await wire.startReading()
            _ = try await wire.read { $0.hasSuffix("\r\n0\r\n\r\n") }
            #expect(answer.taken == count * piece.utf8.count)
        }
    }

    @Test func anAnswerThatIsCutEndsTheConnection() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in
            let answer = ScriptedAnswer(200)
            answer.give("abc")
            return answer
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.get("/gw/api/x"))
            _ = try await wire.read { $0.contains("abc") }
            // The upstream is lost.
            upstream.answers.forEach { $0.cancel() }
            #expect(try await !wire.readToEnd().contains("\r\n0\r\n"))
        }
    }

    @Test func upgradesAreRefusedAndThatToHTTP2IsIgnored() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200, "plain") }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let socket = try await Wire(client)
            try await socket.send(
                Self.get(
                    "/gw/api/x", "Connection: Upgrade", "Upgrade: websocket",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                    "Sec-WebSocket-Version: 13"))
            let text = try await socket.readToEnd()
            #expect(text.hasPrefix("HTTP/1.1 501 "))
            #expect(text.contains("upgrade_refused"))
            #expect(upstream.calls.isEmpty)
            let plain = try await Wire(client)
            try await plain.send(
                Self.get("/gw/api/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
            )
            #expect(try await plain.readToEnd().hasSuffix("plain"))
            for method in ["TRACE", "CONNECT"] {
                let wire = try await Wire(client)
                try await wire.send("\(method) /gw/api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                let answer = try await wire.readToEnd()
                #expect(["405", "400"].contains { answer.hasPrefix("HTTP/1.1 \($0) ") }, "\(answer)")
            }
            #expect(upstream.calls.count == 1)
        }
    }

    /// Without keys callers are trusted for being on this machine, as the pages in a browser on it are not.
    @Test(arguments: [
        ("cross-site", "no-cors", 403), ("same-site", "cors", 403), ("cross-site", "navigate", 403),
        ("none", "navigate", 403), ("same-origin", "navigate", 403), ("same-origin", "cors", 200),
        ("none", "no-cors", 200),
        ("", "", 200),
    ])
    func pagesAreNotServed(site: String, mode: String, status: Int) async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200, "<script>", headers: [("Content-Type", "text/html")]) }
        let headers = site.isEmpty ? [] : ["Sec-Fetch-Site: \(site)", "sec-fetch-mode: \(mode)"]
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let response = try await client.send("GET", "/gw/api/x", headers: headers)
            #expect(response.status == status)
            #expect(upstream.calls.count == (status == 200 ? 1 : 0))
            if status == 200 {
                #expect(response.headers["content-security-policy"] == "sandbox")
                #expect(response.headers["x-content-type-options"] == "nosniff")
            } else {
                #expect(response.member("type") == "urn:perennial:problem:forbidden_origin")
            }
        }
        // Whoever has a key may be anybody.
        let (keys, texts) = try house.keys(.read)
        try await house.serve(keys: keys, gateway: try house.gateway(upstream)) { client async throws in
            let response = try await client.send(
                "GET", "/gw/api/x", headers: headers + ["X-Perennial-Key: \(texts[0])"])
            #expect(response.status == 200)
            #expect(response.headers["content-security-policy"] == nil)
        }
    }

    @Test func callersNeedTheirKeysWhichGoNoFurther() async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/keys-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let house = try House()
        try house.addWarm("a")
        let file = CallerKeyFile(path: directory + "/keys.json")
        let key = try file.create(name: "test", scopes: [.read], now: house.time.wall()).text.reveal()
        let keys = try CallerKeys(
            file: file, time: house.time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let upstream = ScriptedUpstream { _ in .whole(200, "ok") }
        try await house.serve(
            keys: keys, gateway: try house.gateway(upstream) { $0.ownCredentialWins = true }
        ) { client async throws in
            for headers in [[], ["Authorization: Bearer prn_00000000_x"], ["X-Perennial-Key: nonsense"]] {
                #expect(try await client.send("GET", "/gw/api/x", headers: headers).status == 401)
            }
            #expect(upstream.calls.isEmpty)
            #expect(try await client.send("GET", "/gw/api/x", headers: ["Authorization: Bearer \(key)"]).status == 200)
            #expect(upstream.calls.last?.header("authorization") == "Bearer at-17")
            let own = ["X-Perennial-Key: \(key)", "Authorization: Bearer mine"]
            #expect(try await client.send("GET", "/gw/api/x", headers: own).status == 200)
            #expect(upstream.calls.last?.header("authorization") == "Bearer mine")
            #expect(upstream.calls.last?.header("x-perennial-key") == nil)
            #expect(!upstream.calls.contains { $0.headers.contains { $0.value.contains(key) } })
        }
    }

    @Test func aTokenWithALineBreakIsRefusedAndNotShown() async throws {
        let house = try House()
        try house.addWarm("a", token: "evil\r\nX-Admin: 1")
        let upstream = ScriptedUpstream { _ in .whole(200) }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let response = try await client.send("GET", "/gw/api/x")
            #expect(response.status == 502)
            #expect(response.member("type") == "urn:perennial:problem:token_unusable")
            #expect(response.headers["perennial-account"] == "a")
            #expect(!response.head.contains("evil") && !response.body.contains("evil"))
            #expect(upstream.calls.isEmpty)
        }
    }

    @Test func failuresAreProblemDocuments() async throws {
        let house = try House()
        try house.addWarm("a")
        let failure = NIOLockedValueBox(UpstreamFailure.Kind.unreachable)
        let upstream = ScriptedUpstream { _ throws(UpstreamFailure) in
            throw UpstreamFailure(failure.withLockedValue { $0 }, isUnsent: true, "GET https://api.example: no")
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            for (kind, status) in [
                (UpstreamFailure.Kind.unreachable, 502), (.timeout, 504), (.broken, 502), (.shutDown, 503),
                (.proxy, 502),
            ] {
                failure.withLockedValue { $0 = kind }
                let response = try await client.send("GET", "/gw/api/x?secret=1")
                #expect(response.status == status)
                #expect(response.headers["content-type"] == "application/problem+json")
                #expect(response.headers["perennial-attempts"] == "1")
                #expect(!response.body.contains("secret"))
            }
            let refused = try await client.send("GET", "/gw/api/%2e%2e/x")
            #expect(refused.status == 400)
            #expect(refused.member("type") == "urn:perennial:problem:path_refused")
        }
        // An account that has to log in.
        let dead = try House()
        try dead.add("a", token: nil) { $0.status = .reauthRequired }
        try await dead.serve(gateway: try dead.gateway(upstream)) { client async throws in
            #expect(try await client.send("GET", "/gw/api/x").status == 424)
        }
    }

    @Test func aBodyThatDoesNotComeIsNotWaitedForForEver() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200) }
        try await house.serve(
            gateway: try house.gateway(upstream) { $0.budget.idle = .milliseconds(50) }
        ) { client async throws in
            let wire = try await Wire(client)
            try await wire.send("POST /gw/api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
            let text = try await wire.readToEnd()
            #expect(text.hasPrefix("HTTP/1.1 408 "))
            #expect(upstream.calls.isEmpty)
        }
    }

    @Test func aShutdownLetsTheCallUnderWayEnd() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200)
        let upstream = ScriptedUpstream { _ in answer }
        let wires = NIOLockedValueBox<[(wire: Wire, client: Client)]>([])
        async let served: Void = house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.get("/gw/api/x"))
            answer.give("first")
            _ = try await wire.read { $0.contains("first") }
            wires.withLockedValue { $0 = [(wire, client)] }
            // Shut down from here on.
        }
        try await eventually { wires.withLockedValue { !$0.isEmpty } }
        let (wire, client) = try #require(wires.withLockedValue { $0.first })
        // It is under way once nobody is let in any more.
        let deadline = ContinuousClock.now + .seconds(30)
        while let next = try? await Wire(client) {
            try await next.close()
            guard ContinuousClock.now < deadline else { throw TimedOut(received: "the listener is still open") }
        }
        answer.give("last")
        answer.complete()
        #expect(try await wire.readToEnd().contains("4\r\nlast\r\n0\r\n\r\n"))
        try await served
    }
}
