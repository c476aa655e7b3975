import Testing

@testable import CurlClient

/// Requests that are refused before anything happens.
@Suite("Refused requests")
struct RefusedRequestTests {
    private func code(_ request: CurlRequest) -> CurlError.Code? {
        do {
            try request.validate()
            return nil
        } catch {
            #expect(error.unsent)
            #expect(!error.description.contains("s3cret"))
            return error.code
        }
    }

    @Test(
        "URLs",
        arguments: [
            "", "/token", "id.example.com/token", "file:///etc/passwd", "ftp://example.com/", "http://", "http:///x",
            "https://exa mple.com/", "https://example.com/\r\nX: y", "https://example.com/\0", "http:example.com",
            "https://ann:s3cret@example.com/", "https://ann@example.com/", "gopher://127.0.0.1:6379/_x",
        ])
    func urls(_ url: String) async throws {
        #expect(code(CurlRequest(url: url)) == .malformedURL)
        try await withClient { client in
            let error = await failure(client, CurlRequest(url: url))
            #expect(error?.code == .malformedURL)
            #expect(error?.unsent == true)
        }
    }

    @Test(
        "URLs that only libcurl can tell to be wrong",
        arguments: ["http://127.0.0.1:99999/", "http://[::1/", "http://a b/"])
    func urlsForLibcurl(_ url: String) async throws {
        try await withClient { client in
            let error = await failure(client, CurlRequest(url: url))
            #expect(error?.code == .malformedURL)
            #expect(error?.unsent == true)
        }
    }

    @Test("headers that would inject or contradict, and none of it reaches the server")
    func headers() async throws {
        try await withServer(echo) { client, server in
            for header in [
                ("X", "a\r\nEvil: s3cret"), ("X", "a\nb"), ("X", "a\rb"), ("X", "s3cret\0b"), ("X: y\r\nEvil", "1"),
                ("", "1"), ("X Y", "1"), ("X:", "1"), ("X;", "1"), ("Ä", "1"), ("Content-Length", "5"),
                ("transfer-encoding", "chunked"), ("Expect", "100-continue"),
            ] {
                let request = CurlRequest(url: server.url, headers: [("Good", "1"), header])
                #expect(code(request) == .invalidHeader)
                let error = await failure(client, request)
                #expect(error?.code == .invalidHeader)
            }
            #expect(server.counters.connections == 0)
        }
    }

    @Test("methods", arguments: ["", "GET /x", "GET\r\n", "CONNECT", "PÖST"])
    func methods(_ method: String) {
        #expect(code(CurlRequest(method: method, url: "http://127.0.0.1/")) == .invalidRequest)
    }

    @Test(
        "proxies",
        arguments: [
            "", "127.0.0.1:8080", "ftp://127.0.0.1", "http://ann:s3cret@127.0.0.1:1", "http://127.0.0.1/path",
            "socks4://127.0.0.1", "http://",
        ])
    func proxies(_ url: String) {
        #expect(throws: CurlError.self) { try CurlProxy(url: url) }
    }

    @Test("no time at all")
    func noTime() async throws {
        try await withServer(echo) { client, server in
            for timeout in [Duration.zero, .seconds(-5)] {
                let error = await failure(client, CurlRequest(url: server.url, totalTimeout: timeout))
                #expect(error?.code == .timeout)
                #expect(error?.unsent == true)
            }
            // As good as no limit, and no overflow on the way.
            let long = CurlRequest(
                url: server.url, connectTimeout: .seconds(Int64.max / 4), totalTimeout: .seconds(1_000_000_000))
            let response = try await client.execute(long)
            #expect(response.status == 200)
        }
    }

    @Test("descriptions and dumps show no secret")
    func descriptions() throws {
        let proxy = try CurlProxy(url: "socks5h://127.0.0.1:1", username: "s3cret", password: "s3cret")
        let request = CurlRequest(
            method: "POST", url: "https://id.example.com/s3cret?s3cret=s3cret", headers: [("A", "s3cret")],
            body: Array("s3cret".utf8), proxy: proxy)
        let response = CurlResponse(status: 200, headers: [("Set-Cookie", "s3cret")], body: Array("s3cret".utf8))
        var text = "\(request) \(proxy) \(response)"
        text += String(reflecting: request) + String(reflecting: proxy) + String(reflecting: response)
        dump((request, proxy, response), to: &text)
        #expect(!text.contains("s3cret"))
        #expect(!text.contains("115"))
    }
}
