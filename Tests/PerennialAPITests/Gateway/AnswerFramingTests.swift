import Logging
import MetricsTestKit
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import RefreshCore
import Testing

@testable import Gateway
@testable import PerennialAPI

/// Where an answer of the gateway ends, and what becomes of its connection then.
@Suite struct AnswerFramingTests {
    private static func request(_ target: String, _ headers: String = "", version: String = "1.1") -> String {
        "GET \(target) HTTP/\(version)\r\nHost: localhost\r\n\(headers)\r\n"
    }

    private static func upload(_ length: Int, _ headers: String = "", _ body: String = "") -> String {
        "POST /gw/api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\(headers)\r\n\(body)"
    }

    /// Sends all bodies on as they come.
    private static func live(_ route: inout GatewayRoute) {
        (route.replay.memory, route.replay.file) = (0, 0)
    }

    @Test(arguments: [
        ["content-length"], ["Content-Length, X-Other"], ["close", "content-length"], ["transfer-encoding"],
    ])
    func noHeaderOfTheUpstreamTakesTheFramingAway(connection: [String]) async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { seen in
            .whole(200, "HTTP/1.1 200 smuggled\r\n\r\n", headers: connection.map { ("Connection", $0) })
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let outcome = try await client.exchange(
                (1...3).map { Self.request("/gw/api/\($0)") }.joined(), count: 3)
            #expect(outcome.responses.map(\.body) == Array(repeating: "HTTP/1.1 200 smuggled\r\n\r\n", count: 3))
            for response in outcome.responses {
                #expect(response.headers["content-length"] == "25")
                #expect(response.head.lowercased().components(of: "content-length") == 1, "\(response.head)")
            }
        }
    }

    @Test func noPolicyTakesTheFramingAway() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200, "abc", headers: [("Content-Type", "text/plain")]) }
        let gateway = try house.gateway(upstream) { $0.headers.denyInAnswer = ["content-*"] }
        try await house.serve(gateway: gateway) { client async throws in
            let outcome = try await client.exchange(
                Self.request("/gw/api/1") + "HEAD /gw/api/2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    + Self.request("/gw/api/3"), count: 3, bodiless: [1])
            #expect(outcome.responses.map(\.body) == ["abc", "", "abc"])
            #expect(outcome.responses.map { $0.headers["content-length"] } == ["3", "3", "3"])
            #expect(outcome.responses.allSatisfy { $0.headers["content-type"] == nil })
        }
    }

    @Test func aCutAnswerToHTTP10DoesNotLookComplete() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200)
        answer.give("abc")
        let upstream = ScriptedUpstream { seen in
            if seen.url.hasSuffix("cut") { return answer }
            let whole = ScriptedAnswer(200)
            whole.give("whole")
            whole.complete()
            return whole
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.request("/gw/api/cut", version: "1.0"))
            _ = try await wire.read { $0.hasSuffix("abc") }
            answer.cancel()
            _ = try await wire.readToEnd()
            #expect(wire.wasReset)
            // A whole one ends in peace.
            let whole = try await Wire(client)
            try await whole.send(Self.request("/gw/api/whole", version: "1.0"))
            #expect(try await whole.readToEnd().hasSuffix("whole"))
            #expect(!whole.wasReset)
        }
    }

    /// A connection that was used before and ends without a byte makes clients send the request again, whatever its method.
    @Test func anAnswerThatIsCutBeforeItsBodyIsSeenToHaveBegun() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { seen in
            guard seen.url.hasSuffix("cut") else { return .whole(200, "whole") }
            let answer = ScriptedAnswer(200, headers: [("Content-Length", "100")])
            answer.complete()
            return answer
        }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.request("/gw/api/whole"))
            _ = try await wire.read { $0.hasSuffix("whole") }
            try await wire.send(Self.request("/gw/api/cut"))
            #expect(try await wire.readToEnd().contains("Content-Length: 100\r\n"))
        }
    }

    @Test func nobodyIsToldToGoOnInTheMidstOfAnAnswer() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = EarlyUpstream(ScriptedAnswer(200))
        try await house.serve(gateway: try house.gateway(upstream, change: Self.live)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.upload(10, "Expect: 100-continue\r\n"))
            upstream.answer.give("first")
            _ = try await wire.read { $0.contains("first") }
            upstream.readBody()
            // It is read from here on, as a body that is sent unasked shows.
            try await wire.send("0123456789")
            try await eventually { upstream.hasEnded }
            upstream.answer.give("second")
            let text = try await wire.read { $0.contains("second") }
            #expect(!text.contains("100 Continue"), "\(text)")
            upstream.answer.complete()
            _ = try await wire.readToEnd()
        }
    }

    @Test func aConnectionOfWhichTheEndWasAnnouncedEnds() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = EarlyUpstream(ScriptedAnswer(200))
        try await house.serve(gateway: try house.gateway(upstream, change: Self.live)) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.upload(10, "", "01234"))
            upstream.answer.give("early")
            let text = try await wire.read { $0.contains("early") }
            #expect(text.contains("Connection: close\r\n"))
            // The rest comes all the same, before the answer has ended.
            upstream.readBody()
            try await wire.send("56789")
            try await eventually { upstream.hasEnded }
            #expect(upstream.bytes == 10)
            upstream.answer.complete()
            #expect(try await wire.readToEnd().hasSuffix("0\r\n\r\n"))
        }
    }

    @Test(arguments: ["GET", "HEAD"])
    func anEarlyAnswerDoesNotWaitForTheRestOfTheRequest(method: String) async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200, headers: [("Content-Length", "5")])
        if method == "GET" { answer.give("early") }
        let upstream = EarlyUpstream(answer)
        let metrics = TestMetrics()
        let gateway = try house.gateway(upstream, metrics: metrics, change: Self.live)
        try await house.serve(gateway: gateway) { client async throws in
            let wire = try await Wire(client)
            try await wire.send(Self.upload(10, "", "01234").replacing("POST", with: method))
            let text = try await wire.readToEnd()
            #expect(text.hasSuffix(method == "GET" ? "early" : "\r\n\r\n"))
            try await eventually { answer.isCancelled }
            let calls = try metrics.expectMeter("perennial_gateway_calls")
            try await eventually { calls.lastValue == 0 }
        }
    }

    @Test func anUpstreamThatDoesNotEndItsCompleteAnswerIsNotWaitedFor() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200, headers: [("Content-Length", "5")])
        answer.give("early")
        let metrics = TestMetrics()
        let gateway = try house.gateway(EarlyUpstream(answer), metrics: metrics)
        try await house.serve(gateway: gateway) { client async throws in
            #expect(try await client.send("POST", "/gw/api/x", body: "abc").body == "early")
            let calls = try metrics.expectMeter("perennial_gateway_calls")
            try await eventually { answer.isCancelled && calls.lastValue == 0 }
        }
    }

    @Test func aStreamThatLastsHoldsNothingOfItsRequest() async throws {
        let house = try House()
        try house.addWarm("a")
        let answer = ScriptedAnswer(200)
        let upstream = ScriptedUpstream { _ in answer }
        let gateway = try house.gateway(upstream) { $0.replay.memory = 1000 }
        try await house.serve(gateway: gateway) { client async throws in
            let wire = try await Wire(client)
            let body = String(repeating: "x", count: 100_000)
            try await wire.send(Self.upload(body.utf8.count, "", body))
            answer.give("first")
            _ = try await wire.read { $0.contains("first") }
            try await eventually { gateway.space.taken == 0 }
            #expect(!answer.isCancelled)
            answer.complete()
            _ = try await wire.read { $0.hasSuffix("0\r\n\r\n") }
        }
    }

    /// The time of a reader may be over before it has begun to wait: from another thread than the connection's.
    @Test func aReaderWhoseTimeIsOverNeverWaits() async throws {
        let house = try House()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let responder = APIResponder(
            backend: house.backend, gatekeeper: Gatekeeper(keys: nil), isLocalSocket: false,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let call = try await loop.submit {
            let head = HTTPRequestHead(
                version: .http1_1, method: .POST, uri: "/gw/api/x",
                headers: ["Host": "localhost", "Content-Length": "10"])
            let handler = ConnectionHandler(
                warm: WarmRead(responder: responder), gateway: nil, outlet: RawOutlet(), idleTimeout: .seconds(60))
            return ForwardedCall(
                head, check: try RequestHeadCheck(head, isLocalSocket: false), isKeyInAuthorization: false, shield: [],
                closes: false, handler: handler, loop: loop)
        }.get()
        let finished = NIOLockedValueBox(0)
        let readers = Task {
            for _ in 0..<2000 {
                await #expect(throws: CallerFault.slow) { try await call.readBody(within: .nanoseconds(1)) }
                finished.withLockedValue { $0 += 1 }
            }
        }
        try await eventually { finished.withLockedValue { $0 } == 2000 }
        await readers.value
    }
}
