import RefreshCore
import Testing

@testable import Gateway

/// Servers that tell the caller what they were sent.
@Suite struct TokenEchoTests {
    private let token = "secret/token+1=="

    private func removed(_ name: String, _ value: String, _ injection: TokenInjection = .bearer) -> String? {
        TokenEcho(Secret(token), injection).removed(from: [(name: name, value: value)]).first?.value
    }

    @Test(arguments: [
        ("https://api.example/a?key=secret%2Ftoken%2B1%3D%3D", "https://api.example/a"),
        ("/a?x=1&key=secret&y=2#top", "/a?x=1&y=2#top"), ("/a?k%65y=secret", "/a"), ("/a?", "/a?"),
        ("/a?monkey=1&keys=2", "/a?monkey=1&keys=2"), ("?key=s", ""), ("/plain", "/plain"),
    ])
    func theParameterIsTakenOutOfPlaces(place: String, left: String) {
        let injection = TokenInjection.query(name: "key")
        for name in ["Location", "content-location"] { #expect(removed(name, place, injection) == left) }
        #expect(removed("Refresh", "5; url=\"\(place)\"", injection) == "5; url=\"\(left)\"")
        #expect(
            removed("Link", "<\(place)>; rel=\"next\", <\(place)>; rel=x", injection)
                == "<\(left)>; rel=\"next\", <\(left)>; rel=x")
        // Elsewhere the name is anybody's.
        #expect(removed("X-Query", "?key=1", injection) == "?key=1")
    }

    @Test func theReasonDoesNotTellIt() {
        func reason(_ text: String) -> String {
            TokenEcho(Secret(token), .bearer).removed(from: GatewayAnswerHead(status: 401, reason: text)).reason
        }
        #expect(reason("Unknown token secret/token+1==") == "")
        #expect(reason("Unknown token") == "Unknown token")
    }

    @Test func theCookieIsNotSetAnew() {
        let fields: [HeaderField] = [
            ("Set-Cookie", "session=other; Path=/"), ("set-cookie", " other=1"), ("Set-Cookie", "sessions=1"),
        ]
        let left = TokenEcho(Secret(token), .cookie(name: "session")).removed(from: fields)
        #expect(left.map(\.value) == [" other=1", "sessions=1"])
        #expect(TokenEcho(Secret(token), .bearer).removed(from: fields).count == 3)
    }

    @Test(arguments: [
        "secret/token+1==", "Bearer secret/token+1==", "a=secret%2Ftoken%2B1%3D%3D;b", "secret%2ftoken%2b1%3d%3d",
        "secret%252Ftoken%252B1%253D%253D", "s%65cret/token+1==", "c2VjcmV0L3Rva2VuKzE9PQ==",
    ])
    func aFieldWithTheTokenIsLeftOut(value: String) {
        #expect(removed("X-Echo", value) == nil)
        #expect(removed("Location", "https://api.example/\(value)") == nil)
    }

    @Test func aFieldWithTheCredentialIsLeftOut() {
        let basic = TokenInjection.basic(username: "{token}", password: "x")
        #expect(removed("X-Echo", "Basic c2VjcmV0L3Rva2VuKzE9PTp4", basic) == nil)
        #expect(removed("X-Echo", "Basic c2VjcmV0L3Rva2VuKzE9PTp5", basic) != nil)
    }

    @Test(arguments: ["secret", "token+1==", "100% of it", "%zz", "", "Secret/Token+1=="])
    func otherFieldsStay(value: String) { #expect(removed("X-Other", value) == value) }

    @Test func aShortTokenIsNotLookedForInText() {
        #expect(TokenEcho(Secret("1"), .bearer).removed(from: [(name: "Age", value: "100")]).count == 1)
        let long = TokenEcho(Secret("1234567890"), .bearer)
        #expect(long.removed(from: [(name: "Content-Length", value: "1234567890")]).count == 1)
    }

    /// Head, informational heads and trailers of a whole call.
    @Test func noPartOfAnAnswerShowsTheToken() async throws {
        var route = GatewayRoute.to()
        route.injection = .query(name: "key")
        let house = House(route) { seen in
            #expect(seen.call.head.url.hasSuffix("?q=1&key=a-secret-token"))
            return FakeAnswer(
                302, "body",
                headers: [
                    ("Location", "https://api.example/v1/next?key=a-secret-token&page=2"),
                    ("X-Request", seen.call.head.url),
                    ("ETag", "e"),
                ], trailers: [("X-Debug", "a-secret-token"), ("X-Sum", "7")])
        }
        house.tokens.generations.change { $0[account("a")] = 1 }
        house.tokens.texts.change { $0[account("a")] = "a-secret-token" }
        house.upstream.early.change { $0 = [("Link", "</x?key=a-secret-token>"), ("X-Early", "a-secret-token")] }
        let got = try await house.serve(FakeCaller("GET", "/gw/api/things?q=1"))
        #expect(got.header("location") == "/gw/api/next?page=2")
        #expect(got.header("x-request") == nil)
        #expect(got.header("etag") == "e")
        #expect(got.trailers?.map(\.name) == ["X-Sum"])
        #expect(got.informationalHeaders.map(\.value) == ["</x>"])
    }

    @Test func whatTheCallerBroughtItMaySeeAgain() async throws {
        var route = GatewayRoute.to()
        route.ownCredentialWins = true
        let house = House(route) { seen in FakeAnswer(200, headers: [("X-Echo", seen.header("authorization") ?? "")]) }
        let got = try await house.serve(FakeCaller(headers: [("Authorization", "Bearer of-the-caller")]))
        #expect(got.header("x-echo") == "Bearer of-the-caller")
    }
}
