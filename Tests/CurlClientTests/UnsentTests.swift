import Testing

@testable import CurlClient

/// Failures before the request can have left.
@Suite("Unsent")
struct UnsentTests {
    @Test("connection refused")
    func refused() async throws {
        let port = try RawServer.freePort()
        try await withClient { client in
            let error = await failure(client, CurlRequest(url: "http://127.0.0.1:\(port)/secret?code=hidden").patient)
            #expect(error?.code == .connect)
            #expect(error?.unsent == true)
            #expect(error?.curlCode == 7)
            #expect(error?.message.contains("http://127.0.0.1:\(port)") == true)
            #expect(error?.message.contains("hidden") == false)
        }
    }

    @Test("unknown host name")
    func unknownHost() async throws {
        try await withClient { client in
            let error = await failure(client, CurlRequest(url: "https://nothing.invalid/").patient)
            #expect(error?.code == .resolve)
            #expect(error?.unsent == true)
        }
    }

    @Test("connect timeout while TLS stalls: no byte of the request was written")
    func connectTimeout() async throws {
        try await withServer({ $0.drain() }) { client, server in
            let start = ContinuousClock.now
            let error = await failure(
                client,
                CurlRequest(
                    url: "https://127.0.0.1:\(server.port)/", connectTimeout: .milliseconds(150),
                    totalTimeout: .seconds(300)))
            #expect(error?.code == .timeout)
            #expect(error?.unsent == true)
            // Far below the total timeout; a busy machine may be slow.
            #expect(ContinuousClock.now - start < .seconds(200))
        }
    }

    @Test("waiting for a free connection counts as connecting")
    func queuedTimeout() async throws {
        try await withServer({ $0.drain() }, configuration: CurlClientConfiguration(maxConnectionsPerHost: 1)) {
            client, server in
            let first = Task { await failure(client, CurlRequest(url: server.url).patient) }
            try await eventually("the first request is on its way") { server.counters.bytes > 0 }
            let second = await failure(
                client,
                CurlRequest(url: server.url, connectTimeout: .milliseconds(100), totalTimeout: .seconds(300)))
            #expect(second?.code == .timeout)
            #expect(second?.unsent == true)
            first.cancel()
            #expect(await first.value?.unsent == false)
            #expect(server.counters.connections == 1)
        }
    }

    @Test("send-by in the past: not even a connection")
    func sendByPast() async throws {
        try await withServer(echo) { client, server in
            let request = CurlRequest(url: server.url, sendBy: .now - .milliseconds(1))
            let error = await failure(client, request)
            #expect(error?.code == .sendByMissed)
            #expect(error?.unsent == true)
            #expect(server.counters.connections == 0)
        }
    }

    @Test("send-by passing while TLS stalls ends the wait at that instant")
    func sendByDuringHandshake() async throws {
        try await withServer({ $0.drain() }) { client, server in
            let start = ContinuousClock.now
            let error = await failure(
                client,
                CurlRequest(
                    url: "https://127.0.0.1:\(server.port)/", connectTimeout: .seconds(300),
                    totalTimeout: .seconds(300), sendBy: start + .milliseconds(150)))
            #expect(error?.code == .sendByMissed)
            #expect(error?.unsent == true)
            #expect(ContinuousClock.now - start < .seconds(200))
        }
    }

    @Test("send-by is checked on the finished connection, just before sending")
    func sendByCheckedLast() {
        // Between the connection and the sending there is no gap that a server could stretch, so the question that
        // libcurl asks at that point is put directly.
        let late = ExchangeTransfer(CurlRequest(url: "http://127.0.0.1/", sendBy: .now - .milliseconds(1)))
        #expect(!late.willSend(to: nil))
        #expect(late.abort == .sendByMissed)
        #expect(!late.mayHaveLeft)

        let early = ExchangeTransfer(CurlRequest(url: "http://127.0.0.1/", sendBy: .now + .seconds(60)))
        #expect(early.willSend(to: nil))
        #expect(early.mayHaveLeft)
    }

    @Test("a proxy that refuses the tunnel, and one that is not there")
    func proxy() async throws {
        try await withServer { connection in
            while connection.readRequest() != nil { connection.answer("403 Forbidden", body: Array("no".utf8)) }
        } _: { client, server in
            let proxy = try CurlProxy(url: server.url, username: "ann", password: "pa55word")
            let request = CurlRequest(
                method: "POST", url: "https://id.example.com/token", headers: [("X-Secret", "mine")],
                body: Array("refresh_token=abc".utf8), proxy: proxy
            ).patient
            let error = await failure(client, request)
            #expect(error?.code == .proxy)
            #expect(error?.unsent == true)
            #expect(error?.message.contains("403") == true)
            #expect(
                "\(String(describing: error)) \(request) \(String(reflecting: proxy))".contains("pa55word") == false)

            let gone = try CurlProxy(url: "http://127.0.0.1:\(RawServer.freePort())")
            let other = await failure(client, CurlRequest(url: "https://id.example.com/token", proxy: gone).patient)
            #expect(other?.code == .proxy)
            #expect(other?.unsent == true)
        }
    }

    @Test("the tunnel's request carries the proxy's credentials and nothing of the server's")
    func proxyRequest() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            // Said in the status line, which is what the error repeats.
            let isClean = request.head.contains("Proxy-Authorization: Basic") && !request.head.contains("X-Secret")
            connection.answer(isClean ? "461 Clean" : "462 Dirty")
        } _: { client, server in
            let proxy = try CurlProxy(url: server.url, username: "ann", password: "secret")
            let error = await failure(
                client,
                CurlRequest(url: "https://id.example.com/", headers: [("X-Secret", "mine")], proxy: proxy).patient)
            #expect(error?.message.contains("461") == true)
        }
    }

    @Test("a plain http proxy is used, the environment's never")
    func httpProxy() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() { connection.answer(body: Array(request.head.utf8)) }
        } _: { client, server in
            let request = CurlRequest(url: "http://nothing.invalid/x", proxy: try CurlProxy(url: server.url)).patient
            let response = try await client.execute(request)
            #expect(String(decoding: response.body, as: UTF8.self).hasPrefix("GET http://nothing.invalid/x HTTP/1.1"))
        }
    }
}
