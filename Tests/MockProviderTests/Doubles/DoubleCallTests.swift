import Crypto
import FoundationEssentials
import NIOCore
import NIOPosix
import Testing

@testable import MockProvider

/// What a double's API does beside the row's own call.
@Suite("API of the doubles", .timeLimit(.minutes(10)))
struct DoubleCallTests {
    struct Echo: Decodable {
        var account: String
        var place: String
        var method: String
        var authority: String
        var path: String
        var query: [String: String]
        var headers: [[String]]
        var bodyLength: Int
        var bodySHA256: String

        private enum CodingKeys: String, CodingKey {
            case account, place, method, authority, path, query, headers
            case bodyLength = "body_length"
            case bodySHA256 = "body_sha256"
        }
    }

    @Test("echo says what came, and never the token, wherever it was")
    func echo() async throws {
        try await withDouble(DoubleConfiguration(.oauth2)) { double, client in
            let token = double.grant("alice").accessToken
            let basic = Data("\(token):x".utf8).base64EncodedString()
            let other = Data("x:\(token)".utf8).base64EncodedString()
            let inQuery = formBody(["key": token])
            for (path, headers, place) in [
                ("/echo?a=1", ["Authorization": "Bearer \(token)"], "bearer"),
                ("/echo?a=1", ["Authorization": "Basic \(basic)"], "basic user"),
                ("/echo?a=1", ["authorization": "basic \(other)"], "basic password"),
                ("/echo?a=1", ["X-Api-Key": token], "header X-Api-Key"), ("/echo?a=1&\(inQuery)", [:], "query key"),
                ("/echo?a=1", ["Cookie": "a=b; session=\(token)"], "cookie session"),
            ] {
                let reply = try await client.send("PATCH", path, headers: headers, body: "hello")
                #expect(reply.status == 200)
                #expect(!reply.body.contains(token) && !reply.body.contains(basic) && !reply.body.contains(other))
                let echo = try reply.json(Echo.self)
                #expect(echo.account == "alice" && echo.place == place && echo.method == "PATCH")
                #expect(echo.path == "/echo" && echo.query["a"] == "1" && echo.bodyLength == 5)
                #expect(echo.bodySHA256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
                #expect(echo.authority == "mock" && echo.headers.contains { $0 == ["Connection", "close"] })
            }
            #expect(double.ledger.count == 6)
            #expect(double.ledger.allSatisfy { $0.account == "alice" && $0.path == "/echo" && $0.outcome == .served })

            // Beyond what is kept of any other body.
            let large = try await client.send(
                "POST", "/echo", headers: ["Authorization": "Bearer \(token)"],
                body: String(repeating: "x", count: 3 << 20))
            #expect(try large.json(Echo.self).bodyLength == 3 << 20)
        }
    }

    @Test("no token, an empty one and an unknown one are told apart in the ledger")
    func tokenless() async throws {
        try await withDouble(DoubleConfiguration(.oauth2)) { double, client in
            for headers in [[:], ["Authorization": "Bearer "], ["Authorization": "Bearer guess"]] {
                for path in ["/echo", "/events", "/never"] {
                    let reply = try await client.send("GET", path, headers: headers)
                    #expect(reply.status == 401)
                }
            }
            #expect(
                double.ledger.map(\.outcome)
                    == [DoubleUse.Outcome](repeating: .malformed("it has no access token"), count: 6)
                    + [DoubleUse.Outcome](repeating: .refused("its access token was never issued"), count: 3))
        }
    }

    @Test("a token that is ended before its time, in each row's own words")
    func endedTokens() async throws {
        for (row, status, words) in [
            (DoubleRow.oauth2, 401, "invalid_token"), (.pixiv, 400, "invalid_grant"),
            (.intranet, 200, #"{"code":40003,"#), (.warp, 401, "User not in context"),
        ] {
            try await withDouble(DoubleConfiguration(row)) { double, client in
                let token = double.grant("alice").accessToken
                let headers = ["Authorization": "Bearer \(token)"]
                for path in [double.apiPath, "/echo"] {
                    #expect(try await client.send("GET", path, headers: headers).status == 200)
                }
                try double.endAccessTokens(of: "alice")
                for path in [double.apiPath, "/echo", "/events"] {
                    let reply = try await client.send("GET", path, headers: headers)
                    #expect(reply.status == status && reply.body.contains(words), "\(row) \(path): \(reply)")
                }
                #expect(double.ledger.map(\.account) == [String?](repeating: "alice", count: 5))
                #expect(double.ledger.last?.outcome == .refused("its access token has expired"))
            }
        }
    }

    @Test("events, chunks, trailers and drops come as announced")
    func streams() async throws {
        try await withDouble(DoubleConfiguration(.oauth2)) { double, client in
            let token = double.grant("alice").accessToken
            let headers = ["Authorization": "Bearer \(token)"]
            let events = try await client.send("GET", "/events?count=3&interval=20", headers: headers)
            #expect(events.headers["content-type"] == "text/event-stream")
            #expect(events.headers["transfer-encoding"] == "chunked")
            #expect(events.body.components(separatedBy: "data: {\"n\":").count == 4)
            #expect(events.body.hasSuffix("0\r\n\r\n"))

            let chunked = try await client.send("GET", "/chunked?count=2&size=3", headers: headers)
            #expect(chunked.body == "3\r\naaa\r\n3\r\nbbb\r\n0\r\n\r\n")

            let trailed = try await client.send("GET", "/trailers?count=2&size=3", headers: headers)
            let digest = SHA256.hash(data: Data("aaabbb".utf8)).map {
                String(UInt16($0) | 0x100, radix: 16).dropFirst()
            }
            .joined()
            #expect(trailed.headers["trailer"] == "X-Count, X-Checksum")
            #expect(trailed.body == "3\r\naaa\r\n3\r\nbbb\r\n0\r\nX-Count: 2\r\nX-Checksum: \(digest)\r\n\r\n")

            let drops = try await client.send("GET", "/drip?count=4&interval=1", headers: headers)
            #expect(drops.headers["content-length"] == "4" && drops.body == "abcd")

            let cut = try await client.send("GET", "/cut?size=10", headers: headers)
            #expect(cut.isCut && cut.body == "aaaaaaaaaa" && cut.headers["content-length"] == "20")

            let held = try await client.send("GET", "/hold?interval=50", headers: headers)
            #expect(held.status == 200 && held.body.contains("alice"))

            for path in ["/events?count=x", "/chunked?size=9999999", "/hold?interval=-1"] {
                #expect(try await client.send("GET", path, headers: headers).status == 400)
            }
        }
    }

    @Test("a caller that goes away ends its stream", arguments: ["/events?count=0&interval=20", "/never", "/stall"])
    func callerGoes(_ path: String) async throws {
        try await withDouble(DoubleConfiguration(.oauth2)) { double, client in
            let token = double.grant("alice").accessToken
            let calling = Task {
                try await client.exchange("GET \(path) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token)\r\n\r\n")
            }
            try await until { double.openStreams == 1 }
            calling.cancel()
            _ = await calling.result
            try await until { double.openStreams == 0 }
        }
    }

    @Test("a quota: as many calls as it has, then the row's answer with its notice, then as many again")
    func quota() async throws {
        try await withDouble(DoubleConfiguration(.warp)) { double, client in
            let headers = ["Authorization": "Bearer \(double.grant("alice").accessToken)"]
            let other = ["Authorization": "Bearer \(double.grant("bob").accessToken)"]
            try double.setQuota(DoubleQuota(calls: 2, refill: .milliseconds(59_500)))
            for _ in 0..<2 { #expect(try await client.send("GET", "/echo", headers: headers).status == 200) }
            let spent = try await client.send("GET", double.apiPath, headers: headers)
            #expect(spent.status == 429 && spent.body == #"{"error":"No remaining quota"}"#)
            #expect(spent.headers["retry-after"] == "60")
            #expect(double.ledger.repeatedRefusals(of: "alice").isEmpty)
            #expect(try await client.send("GET", "/events", headers: headers).status == 429)
            #expect(double.ledger.repeatedRefusals(of: "alice").map(\.path) == ["/events"])
            #expect(try await client.send("GET", "/echo", headers: other).status == 200)
            #expect(
                double.ledger.map(\.outcome) == [.served, .served, .exhausted, .exhausted, .served])

            // Nothing but time brings the calls back.
            let before = double.ledger.count
            try double.setQuota(DoubleQuota(calls: 2, refill: .milliseconds(100)))
            for _ in 0..<2 { #expect(try await client.send("GET", "/echo", headers: headers).status == 200) }
            #expect(try await client.send("GET", "/echo", headers: headers).status == 429)
            try await until {
                try await client.send("GET", "/echo", headers: headers).status == 200
            }
            let calls = double.ledger.dropFirst(before)
            let first = try #require(calls.first { $0.outcome == .exhausted })
            #expect(try #require(calls.last).at.milliseconds - first.at.milliseconds >= 100)

            try double.setQuota(nil)
            for _ in 0..<4 { #expect(try await client.send("GET", "/echo", headers: headers).status == 200) }
            #expect(throws: MockProviderError.self) {
                try double.setQuota(DoubleQuota(calls: 1, fault: "User not in context"))
            }
            #expect(throws: MockProviderError.self) { try double.setQuota(DoubleQuota(calls: 1), of: "nobody") }
        }
    }

    @Test("a quota of each token, and notices in headers and bodies")
    func notices() async throws {
        try await withDouble(DoubleConfiguration(.warp)) { double, client in
            let headers = ["Authorization": "Bearer \(double.grant("alice").accessToken)"]
            let now = Date().timeIntervalSince1970
            func refusal(_ notice: DoubleQuota.Notice) async throws -> RawHTTPClient.Reply {
                try double.setQuota(
                    DoubleQuota(calls: 0, fault: "No AI requests remaining", notice: notice, refill: .seconds(100)),
                    of: "alice")
                let reply = try await client.send("GET", "/echo", headers: headers)
                #expect(reply.status == 429 && reply.body.contains("No AI requests remaining"))
                return reply
            }
            #expect(try await refusal(.none).headers["retry-after"] == nil)
            #expect(try await refusal(.retryAfterDate).headers["retry-after"]?.hasSuffix(" GMT") == true)
            #expect(try await refusal(.header("X-Reset", .secondsLeft)).headers["x-reset"] == "100")
            for (form, unit) in [(DoubleQuota.Form.epochSeconds, 1.0), (.epochMilliseconds, 1000)] {
                let text = try await refusal(.header("X-Reset", form)).headers["x-reset"]
                let end = try #require(text.flatMap { Double($0) }) / unit
                #expect(end >= now + 99 && end < now + 160)
            }
            struct Body: Decodable {
                var error: String
                var resetAt: String

                private enum CodingKeys: String, CodingKey {
                    case error
                    case resetAt = "reset_at"
                }
            }
            let body = try await refusal(.member("reset_at", .iso)).json(Body.self)
            #expect(body.resetAt.count == 20 && body.resetAt.hasSuffix("Z"))

            try double.setQuota(DoubleQuota(calls: 1, scope: .token), of: "alice")
            #expect(try await client.send("GET", "/echo", headers: headers).status == 200)
            #expect(try await client.send("GET", "/echo", headers: headers).status == 429)
            let fresh = ["Authorization": "Bearer \(double.grant("alice").accessToken)"]
            #expect(try await client.send("GET", "/echo", headers: fresh).status == 200)
        }
    }
}

/// Waits until the condition holds; a failure of the test if it does not within thirty seconds.
private func until(
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("the condition did not come to hold", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}
