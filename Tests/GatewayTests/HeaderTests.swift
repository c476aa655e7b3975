import RefreshCore
import Testing

@testable import Gateway

@Suite struct HeaderTests {
    private func sent(
        _ headers: [HeaderField], token: String? = "tok", query: String? = nil, key: Bool = false,
        change: (inout GatewayRoute) -> Void = { _ in }
    ) throws -> (head: OutgoingHead, isOwn: Bool) {
        var route = GatewayRoute.to()
        change(&route)
        let request = GatewayRequest(
            method: "GET", target: "/gw/api/x", headers: headers, isKeyInAuthorization: key)
        let built = RequestHeaders(
            request, path: "/v1/x", query: query.map { $0[...] }, route: route)
        return (
            try built.outgoing(built.hasOwnCredential ? nil : token.map { Secret($0) }), built.hasOwnCredential
        )
    }

    private func names(_ head: OutgoingHead) -> [String] { head.headers.map { $0.name.lowercased() } }

    private func values(_ name: String, _ head: OutgoingHead) -> [String] {
        head.headers.filter { $0.name.lowercased() == name }.map(\.value)
    }

    @Test func headersOfTheConnectionStayHere() throws {
        let head = try sent([
            ("Host", "gw.local"), ("Connection", "close, X-Hop , X-Other"), ("X-Hop", "1"), ("x-other", "2"),
            ("Keep-Alive", "5"), ("TE", "trailers"), ("Trailer", "X"), ("Upgrade", "h2c"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "Basic x"), ("Proxy-Connection", "keep-alive"), ("Content-Length", "3"),
            ("Expect", "100-continue"), ("HTTP2-Settings", "x"), ("Accept", "a"), ("Range", "bytes=0-1"),
            ("Cookie", "c=d"),
            ("Accept-Encoding", "gzip"),
        ]).head
        #expect(names(head) == ["accept", "range", "cookie", "via", "accept-encoding", "authorization"])
        #expect(values("authorization", head) == ["Bearer tok"])
        #expect(values("via", head) == ["1.1 perennial"])
    }

    @Test func theCallersKeyGoesNowhere() throws {
        for own in [true, false] {
            let head = try sent(
                [
                    ("Authorization", "Bearer prn_12345678_abc"), ("X-Perennial-Key", "prn_1"),
                    ("X-Perennial-Other", "x"),
                ],
                change: { $0.ownCredentialWins = own }
            ).head
            #expect(values("authorization", head) == ["Bearer tok"])
            #expect(!names(head).contains { $0.hasPrefix("x-perennial") })
            // Whatever its text, a key that was admitted is one.
            let other = try sent(
                [("Authorization", "Bearer other")], key: true, change: { $0.ownCredentialWins = own }
            ).head
            #expect(values("authorization", other) == ["Bearer tok"])
        }
    }

    @Test func aCredentialOfTheCallersOwnWinsOnlyWhereTheRouteSaysSo() throws {
        let mine: [HeaderField] = [("Authorization", "Bearer mine")]
        #expect(values("authorization", try sent(mine).head) == ["Bearer tok"])
        let own = try sent(mine, change: { $0.ownCredentialWins = true })
        #expect(own.isOwn)
        #expect(values("authorization", own.head) == ["Bearer mine"])
        let none = try sent([], change: { $0.ownCredentialWins = true })
        #expect(!none.isOwn)

        let header = TokenInjection.header(name: "X-Api-Key", format: "{token}")
        let key: [HeaderField] = [("x-api-key", "mine")]
        #expect(values("x-api-key", try sent(key, change: { $0.injection = header }).head) == ["tok"])
        let ownKey = try sent(key, change: { ($0.injection, $0.ownCredentialWins) = (header, true) })
        #expect(values("x-api-key", ownKey.head) == ["mine"])
        // An Authorization has no business at an upstream whose token stands elsewhere.
        #expect(try !names(sent(mine, change: { $0.injection = header }).head).contains("authorization"))
    }

    @Test func queriesAndCookiesKeepTheRest() throws {
        let query = try sent(
            [], token: "a b&c", query: "x=1&k%65y=old&y", change: { $0.injection = .query(name: "key") })
        #expect(query.head.url == "https://api.example/v1/x?x=1&y&key=a%20b%26c")
        #expect(
            try sent([], change: { $0.injection = .query(name: "key") }).head.url
                == "https://api.example/v1/x?key=tok")
        let own = try sent(
            [], query: "key=mine", change: { ($0.injection, $0.ownCredentialWins) = (.query(name: "key"), true) })
        #expect(own.head.url == "https://api.example/v1/x?key=mine")

        let cookie = try sent(
            [("Cookie", "a=1; session=old"), ("cookie", "b=2")], change: { $0.injection = .cookie(name: "session") })
        #expect(values("cookie", cookie.head) == ["a=1; b=2; session=tok"])
        #expect(
            try values("cookie", sent([], change: { $0.injection = .cookie(name: "session") }).head) == ["session=tok"])
    }

    @Test func theRouteAllowsDeniesAndSets() throws {
        let headers: [HeaderField] = [("Accept", "a"), ("X-Internal-Id", "1"), ("X-Pass", "2"), ("X-Choice", "b")]
        let denied = try sent(headers) { $0.headers.deny = ["x-internal-*"] }
        #expect(names(denied.head) == ["accept", "x-pass", "x-choice", "via", "authorization"])
        let allowed = try sent(headers) { route in
            route.headers.allow = ["accept", "x-pass"]
            route.headers.set = [
                .init(name: "X-Pass", value: Secret("fixed")), .init(name: "X-New", value: Secret("n")),
            ]
            route.choice = SourceChoice(header: "x-choice", accounts: ["b"])
        }
        #expect(names(allowed.head) == ["accept", "via", "x-pass", "x-new", "authorization"])
        #expect(values("x-pass", allowed.head) == ["fixed"])
    }

    @Test func everyTryHasHeadersOfItsOwn() throws {
        let request = GatewayRequest(method: "GET", target: "/gw/api/x", headers: [("Authorization", "Bearer mine")])
        let built = RequestHeaders(request, path: "/v1/x", query: nil, route: .to())
        for token in ["one", "two"] {
            let head = try built.outgoing(Secret(token))
            #expect(head.headers.filter { $0.name == "Authorization" }.map(\.value) == ["Bearer \(token)"])
        }
    }

    @Test func loopsAreSeenByTheirVias() {
        let via = "1.1 perennial"
        #expect(!RequestHeaders.isLoop([("Via", "1.1 other, \(via)")]))
        #expect(RequestHeaders.isLoop([("via", "\(via), 1.0 x, \(via)"), ("Via", "\(via), \(via), \(via)")]))
    }

    @Test func answersLoseWhatConcernsTheConnectionOrClaimsToBeOurs() {
        var policy = HeaderPolicy()
        policy.denyInAnswer = ["server"]
        let passed = AnswerHeaders.passed(
            [
                ("Connection", "X-Hop"), ("X-Hop", "1"), ("Transfer-Encoding", "chunked"),
                ("Perennial-Account", "evil"),
                ("Server", "x"), ("Set-Cookie", "a=b"), ("set-cookie", "c=d"), ("Content-Encoding", "gzip"),
                ("Trailer", "X-T"),
            ], policy: policy)
        #expect(passed.map(\.name) == ["Set-Cookie", "set-cookie", "Content-Encoding", "Trailer"])
        #expect(
            AnswerHeaders.trailers([("X-Sum", "1"), ("Content-Length", "3"), ("Set-Cookie", "x")], policy: policy)
                .map(\.name) == ["X-Sum"])
    }
}

@Suite struct InjectionTests {
    @Test func credentialsStandWhereTheyBelong() throws {
        let token = Secret("abc.def-_~+/=")
        func header(_ injection: TokenInjection) throws -> String {
            guard case .header(let name, let value) = try injection.credential(token) else { return "?" }
            return "\(name): \(value.reveal())"
        }
        #expect(try header(.bearer) == "Authorization: Bearer abc.def-_~+/=")
        #expect(try header(.header(name: "X-Key", format: "Token {token}!")) == "X-Key: Token abc.def-_~+/=!")
        #expect(try header(.basic(username: "{token}", password: "")) == "Authorization: Basic YWJjLmRlZi1ffisvPTo=")
        #expect(try header(.basic(username: "u", password: "{token}")) == "Authorization: Basic dTphYmMuZGVmLV9+Ky89")
    }

    static let kinds: [TokenInjection] = [
        .bearer, .header(name: "X", format: "{token}"), .query(name: "k"), .basic(username: "{token}", password: ""),
        .cookie(name: "c"),
    ]

    @Test(arguments: kinds, ["", "evil\r\nX: 1", "a\nb", "a\rb", "a\u{0}b", "a\u{7F}", "tök", " a", "a ", "a\tb"])
    func whatWouldBeMoreThanATokenIsNeverSent(injection: TokenInjection, text: String) throws {
        let error = #expect(throws: TokenInjection.Unsendable.self) { try injection.credential(Secret(text)) }
        #expect(error.map { !"\($0)".contains("evil") } == true)
    }

    @Test func cookiesAndUserNamesAreNarrower() {
        for text in ["a;b", "a,b", "a\"b", "a\\b", "a b"] {
            #expect(throws: TokenInjection.Unsendable.self) {
                try TokenInjection.cookie(name: "c").credential(Secret(text))
            }
        }
        #expect(throws: TokenInjection.Unsendable.self) {
            try TokenInjection.basic(username: "{token}", password: "").credential(Secret("a:b"))
        }
    }
}
