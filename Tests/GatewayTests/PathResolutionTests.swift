import Testing

@testable import Gateway

@Suite struct PathResolutionTests {
    @Test(arguments: [
        ("", "/v1"), ("/", "/v1/"), ("/a/b", "/v1/a/b"), ("/a%20b", "/v1/a%20b"), ("/a//b", "/v1/a//b"),
        ("/a.b/..c/...", "/v1/a.b/..c/..."), ("/x%25y", "/v1/x%25y"),
        ("/v1beta/models/g:generate", "/v1/v1beta/models/g:generate"),
        ("/;x", "/v1/;x"), ("/%E4%BD%A0", "/v1/%E4%BD%A0"), ("/%E0%A4%85%F0%9F%98%80", "/v1/%E0%A4%85%F0%9F%98%80"),
        ("/100%25", "/v1/100%25"), ("/100%25%20sure%25x", "/v1/100%25%20sure%25x"), ("/a%2525b", "/v1/a%2525b"),
        ("/a%2520b", "/v1/a%2520b"),
    ])
    func goodPathsAreJoinedAsTheyCome(path: String, joined: String) throws {
        #expect(try PathResolution.join("/v1", path[...]) == joined)
    }

    @Test(arguments: [
        "/..", "/../x", "/a/../b", "/a/..", "/.", "/./x", "/%2e%2e/x", "/.%2e/x", "/%2E./x", "/a%2fb", "/a%2Fb",
        "/..%2fx", "/a%5cb", "/a\\b", "/..\\x", "/..;/x", "/..;jsessionid=1/x", "/.;a", "/%252e%252e/x", "/a%252fb",
        "/a%255cb", "/a%00b", "/a%0d%0aX: y", "/a%7f", "/a b", "/a\tb", "/a#b", "/a%", "/a%2", "/a%zz", "/ä",
        // Encoded twice by halves, three times, and what becomes of it with parameters.
        "/%25%32%65%25%32%65/x", "/%252%65%252%65/x", "/%25%32e./x", "/a%25%32%66b", "/a%25%35%63b",
        "/%25252e%25252e/x",
        "/..%253b/x", "/%25%2525252e", "/a%2500b", "/a%25%30ab",
        "/a%\(String(repeating: "25", count: 8))41",
        // Overlong UTF-8 of a dot and of a slash.
        "/%c0%ae%c0%ae/x", "/a%C0%AFb", "/%c1%9cx", "/%e0%80%ae%e0%80%ae/x", "/%f0%80%80%ae/x", "/%25c0%25ae",
    ])
    func whatCouldLeaveThePrefixIsRefused(path: String) {
        #expect(throws: PathRefusal.self) { try PathResolution.join("/v1", path[...]) }
        #expect(throws: PathRefusal.self) { try PathResolution.join("", path[...]) }
    }

    @Test func encodedSlashesCanBeAllowedAndStillLeadNowhereElse() throws {
        #expect(try PathResolution.join("/v4", "/projects/g%2Fp", allowsEncodedSlashes: true) == "/v4/projects/g%2Fp")
        for path in ["/a/..%2fb", "/a%2f..", "/a%2f../b", "/a%2f.%2fb", "/a%2f%2e%2e"] {
            #expect(throws: PathRefusal.self) {
                try PathResolution.join("/v4", path[...], allowsEncodedSlashes: true)
            }
        }
    }

    @Test func targetsAreTakenApart() throws {
        let target = try #require(RequestTarget("/gw/api/a/b?c=d?e"))
        #expect(target.route == "api")
        #expect(target.path == "/a/b")
        #expect(target.query == "c=d?e")
        let absolute = try #require(RequestTarget("http://host:1/gw/api?x"))
        #expect((absolute.route, absolute.path, absolute.query) == ("api", "", "x"))
        #expect(RequestTarget("/gwx/api") == nil)
        #expect(RequestTarget("/v1/accounts") == nil)
        #expect(RequestTarget("ftp://host/gw/api") == nil)
        #expect(!RequestTarget.matches("/gw"))
    }

    @Test(arguments: [
        "ftp://x/", "https://", "https://user:pw@x/", "https://x/a?b", "https://x/#f", "x/y", "https://x/../y",
        "https://x:0/", "https://x:99999/", "https://x/a%2e%2e/", "https://x\\y/",
    ])
    func badUpstreamsAreRefused(text: String) {
        #expect(throws: UpstreamURL.Malformed.self) { try UpstreamURL(text) }
    }

    @Test func upstreamsAreOriginAndPrefix() throws {
        let url = try UpstreamURL("HTTPS://Api.Example:8443/v1//")
        #expect(url.origin == "https://Api.Example:8443")
        #expect(url.prefix == "/v1")
        #expect(url.isPrivate)
        #expect(try UpstreamURL("http://127.0.0.1:1").isPrivate)
        #expect(try !UpstreamURL("http://api.example").isPrivate)
    }
}
