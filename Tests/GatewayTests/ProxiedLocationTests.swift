import Testing

@testable import Gateway

struct ProxiedLocationTests {
    @Test(
        "a redirect within the upstream's prefix leads into the route again; another one leads where the upstream meant",
        arguments: [
            ("https://api.example.com/v1/models", "/gw/api/models"),
            ("HTTPS://API.example.com:443/v1/models?page=2#x", "/gw/api/models?page=2#x"),
            ("/v1/models", "/gw/api/models"), ("/v1", "/gw/api"), ("/v1?x=1", "/gw/api?x=1"),
            ("models/2", "models/2"), ("?page=2", "?page=2"), ("../models", "../models"), ("", ""),
            ("/v1beta/models", "https://api.example.com/v1beta/models"), ("/login", "https://api.example.com/login"),
            ("/v1/../admin", "https://api.example.com/v1/../admin"),
            ("/v1/%2e%2e/admin", "https://api.example.com/v1/%2e%2e/admin"),
            ("https://api.example.com:8443/v1/models", "https://api.example.com:8443/v1/models"),
            ("http://api.example.com/v1/models", "http://api.example.com/v1/models"),
            ("https://api.example.com.evil.org/v1", "https://api.example.com.evil.org/v1"),
            ("https://other.example.com/v1", "https://other.example.com/v1"),
            ("//other.example.com/v1", "//other.example.com/v1"),
        ])
    func leadsBackIntoTheRoute(reference: String, expected: String) throws {
        let location = ProxiedLocation(route: "api", upstream: try UpstreamURL("https://api.example.com/v1/"))
        #expect(location.rewritten(reference) == expected)
    }

    @Test("an upstream without a prefix has every path", arguments: [("/", "/gw/api/"), ("/x", "/gw/api/x")])
    func withoutPrefix(reference: String, expected: String) throws {
        let location = ProxiedLocation(route: "api", upstream: try UpstreamURL("http://127.0.0.1:8080"))
        #expect(location.rewritten(reference) == expected)
    }
}
