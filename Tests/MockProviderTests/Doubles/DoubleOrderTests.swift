import FoundationEssentials
import Testing

@testable import MockProvider

/// What a double does when it is told to.
@Suite("Orders of doubles", .timeLimit(.minutes(10)))
struct DoubleOrderTests {
    private static func refresh(
        _ client: RawHTTPClient, _ token: String?
    ) async throws -> RawHTTPClient.Reply {
        try await client.send(
            "POST", "/v1/oauth/token", headers: json,
            body: try jsonBody([
                "grant_type": "refresh_token", "refresh_token": token ?? "", "client_id": "app-claude",
            ]))
    }

    @Test func ordersComeInTurnAndSpendNothing() async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            let token = double.grant("alice").refreshToken
            let other = double.grant("bob").refreshToken
            try double.order(.fault("api_error"), times: 2, of: "alice")
            try double.order(.throttle(.seconds(7)), of: "alice")
            try double.order(.throttle(.date(inSeconds: 9)), of: "alice")
            #expect(try await Self.refresh(client, token).status == 500)
            #expect(try await Self.refresh(client, other).status == 200)
            #expect(try await Self.refresh(client, token).status == 500)
            let throttled = try await Self.refresh(client, token)
            #expect(throttled.status == 429 && throttled.headers["retry-after"] == "7")
            #expect(throttled.body.contains(#""type":"rate_limit_error""#))
            let dated = try await Self.refresh(client, token)
            let from = try #require(dated.headers["date"])
            let until = try #require(dated.headers["retry-after"])
            #expect(from != until && until.hasSuffix(" GMT") && until.utf8.count == 29)
            #expect(try await Self.refresh(client, token).status == 200)
            #expect(
                double.ledger.filter { $0.account == "alice" }.map(\.outcome) == [
                    .ordered("api_error"), .ordered("api_error"), .ordered("throttle"),
                    .ordered("throttle until a date"), .served,
                ])
        }
    }

    @Test func anOrderForEverLastsUntilItIsHealed() async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            let token = double.grant("alice").refreshToken
            try double.order(.fault("invalid_grant"), times: .max, of: "alice")
            for _ in 0..<3 { #expect(try await Self.refresh(client, token).status == 400) }
            double.heal("alice")
            #expect(try await Self.refresh(client, token).status == 200)
        }
    }

    @Test func anOmittedRefreshTokenStaysGood() async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            let token = double.grant("alice").refreshToken
            try double.order(.omitRefreshToken, of: "alice")
            let first = try await Self.refresh(client, token)
            #expect(try first.json(IssuedTokens.self).refreshToken == nil)
            #expect(double.ledger[0].issued?.isRefreshTokenReturned == false)
            #expect(try await Self.refresh(client, token).status == 200)
        }
    }

    @Test func ordersThatMakeNoSenseAreRefused() async throws {
        let double = ProviderDouble(DoubleConfiguration(.claude), logger: .quiet)
        let unknown = #expect(throws: MockProviderError.self) { try double.order(.omitRefreshToken, of: "nobody") }
        #expect(unknown?.code == .invalidRequest)
        double.grant("alice")
        let fault = #expect(throws: MockProviderError.self) { try double.order(.fault("explode"), of: "alice") }
        #expect(fault?.message.contains("overloaded_error") == true)
    }

    @Test(arguments: HostileAnswer.allCases)
    func aHostileAnswerIsWhatItSays(_ answer: HostileAnswer) async throws {
        try await withDouble(DoubleConfiguration(.claude)) { double, client in
            let token = double.grant("alice").refreshToken
            try double.order(.hostile(answer), of: "alice")
            let reply = try await Self.refresh(client, token)
            switch answer {
            case .html: #expect(reply.status == 200 && reply.body.hasPrefix("<!DOCTYPE"))
            case .htmlError: #expect(reply.status == 502 && reply.body.hasPrefix("<!DOCTYPE"))
            case .redirect: #expect(reply.status == 302 && reply.headers["location"] == "/login")
            case .empty: #expect(reply.status == 200 && reply.body.isEmpty)
            case .list: #expect(reply.body == "[]")
            case .huge: #expect(reply.body.utf8.count > 10 << 20)
            case .wrongContentType:
                #expect(reply.headers["content-type"] == "text/html")
                #expect(try reply.json(IssuedTokens.self).refreshToken != nil)
            case .nanExpiry: #expect(reply.body.contains(#""expires_in":NaN"#))
            case .nanTextExpiry: #expect(reply.body.contains(#""expires_in":"NaN""#))
            case .negativeExpiry: #expect(reply.body.contains(#""expires_in":-86400"#))
            case .endlessExpiry: #expect(reply.body.contains(#""expires_in":1e308"#))
            case .newlineInAccessToken: #expect(reply.body.contains(#""access_token":"abc\u000d\u000aX-Smuggled: 1"#))
            case .newlineInRefreshToken: #expect(reply.body.contains(#""refresh_token":"abc\u000d\u000aX-Smuggled: 1"#))
            case .numberAsToken: #expect(reply.body.contains(#""access_token":1234567890"#))
            case .emptyToken: #expect(reply.body.contains(#""access_token":"""#))
            case .noToken: #expect(reply.body.contains(#""access_token":null"#))
            case .deeplyNested: #expect(reply.body.utf8.count == 200_000 && reply.body.hasPrefix("[[[["))
            case .invalidText: #expect(reply.body.contains("\u{FFFD}"))
            case .truncated: #expect(reply.status == 200 && reply.isCut)
            case .dropped: #expect(reply.status == 0)
            }
            // What was spent is spent, what was not is still good.
            #expect(try await Self.refresh(client, token).status == (answer.isServed ? 400 : 200))
        }
    }

    @Test func theAPIPhaseHasOrdersOfItsOwn() async throws {
        try await withDouble(DoubleConfiguration(.pixiv)) { double, client in
            let grant = double.grant("alice")
            try double.order(.fault("Rate Limit"), of: "alice", phase: .api)
            func call() async throws -> RawHTTPClient.Reply {
                try await client.send(
                    "GET", "/v1/user/detail", headers: ["Authorization": "Bearer \(grant.accessToken)"])
            }
            let limited = try await call()
            #expect(limited.status == 403 && limited.body.contains(#""message":"Rate Limit""#))
            #expect(try await call().status == 200)
            #expect(double.ledger.map(\.phase) == [.api, .api])
        }
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"),
        (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT", "2026-12-31T23:59:59Z"),
    ])
    func timesAreWrittenAsTheRFCsSay(seconds: Int64, http: String, iso: String) {
        let time = CivilTime(MockInstant(milliseconds: seconds * 1000 + 999))
        #expect(time.http == http)
        #expect(time.iso(zone: "Z") == iso)
    }
}
