import Testing

@testable import CurlClient

/// Failures after the request may have left.
@Suite("Ambiguous")
struct AmbiguousTests {
    /// Answers the first request, reads every later one and closes without a word.
    @Sendable static func closesOnReuse(_ connection: RawConnection) {
        while let request = connection.readRequest() {
            guard request.number == 1 else { return }
            connection.answer()
        }
    }

    @Test("single send: a reused connection that dies does not lead to a second sending")
    func singleSend() async throws {
        try await withServer(Self.closesOnReuse) { client, server in
            _ = try await client.execute(CurlRequest(method: "POST", url: server.url, body: [1]).patient)
            let error = await failure(
                client, CurlRequest(method: "POST", url: server.url, body: Array("once".utf8), singleSend: true).patient
            )
            #expect(error?.code == .receive)
            #expect(error?.unsent == false)
            #expect(server.counters.requests == 2)
        }
    }

    @Test("without single send libcurl does send again: what the option is for")
    func withoutSingleSend() async throws {
        try await withServer(Self.closesOnReuse) { client, server in
            _ = try await client.execute(CurlRequest(method: "POST", url: server.url, body: [1]).patient)
            let error = await failure(client, CurlRequest(method: "POST", url: server.url, body: [2]).patient)
            #expect(error?.unsent == false)
            #expect(server.counters.requests == 3)
        }
    }

    @Test("a connection that ends without an answer")
    func noAnswer() async throws {
        try await withServer({ _ = $0.readRequest() }) { client, server in
            let error = await failure(client, CurlRequest(url: server.url).patient)
            #expect(error?.code == .receive)
            #expect(error?.unsent == false)
        }
    }

    @Test("total timeout with no answer, and with one that drips")
    func totalTimeout() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            if request.head.hasPrefix("GET /silent") { return connection.drain() }
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while connection.write("x") { pause(milliseconds: 5) }
        } _: { client, server in
            for path in ["/silent", "/drip"] {
                var limit = Duration.milliseconds(300)
                var error: CurlError?
                repeat {
                    let start = ContinuousClock.now
                    error = await failure(
                        client,
                        CurlRequest(url: server.url + path, connectTimeout: .seconds(300), totalTimeout: limit))
                    #expect(error?.code == .timeout)
                    #expect(ContinuousClock.now - start >= limit - .milliseconds(10))
                    limit *= 2
                    // A busy machine may have needed all of it to connect.
                } while error?.unsent == true && limit < .seconds(60)
                #expect(error?.unsent == false)
            }
        }
    }

    @Test(
        "a response that is cut",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"refresh_token\":",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ])
    func truncated(_ response: String) async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.write(response)
        } _: { client, server in
            let error = await failure(client, CurlRequest(method: "POST", url: server.url, body: []).patient)
            #expect(error?.code == .truncated, "\(String(describing: error))")
            #expect(error?.unsent == false)
        }
    }

    @Test("nonsense instead of HTTP", arguments: ["SSH-2.0-OpenSSH\r\n", "\0\0\0\0\0\0", "HTTP/9.9 200\r\n\r\n"])
    func nonsense(_ response: String) async throws {
        try await withServer { connection in
            _ = connection.readRequest()
            connection.write(response)
        } _: { client, server in
            let error = await failure(client, CurlRequest(url: server.url).patient)
            #expect(error != nil)
            #expect(error?.unsent == false)
        }
    }

    @Test("a body beyond the cap: announced, chunked, or until the end of the connection")
    func largeBody() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            if request.head.hasPrefix("GET /announced") {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
                connection.drain()
            } else if request.head.hasPrefix("GET /chunked") {
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while connection.write("400\r\n" + String(repeating: "x", count: 1024) + "\r\n") {}
            } else {
                connection.write("HTTP/1.1 200 OK\r\n\r\n")
                while connection.write(String(repeating: "x", count: 1024)) {}
            }
        } _: { client, server in
            for path in ["/announced", "/chunked", "/endless"] {
                let error = await failure(client, CurlRequest(url: server.url + path, maxResponseBytes: 10_000).patient)
                #expect(error?.code == .responseTooLarge, "\(path): \(String(describing: error))")
                #expect(error?.unsent == false)
            }
        }
    }

    @Test("headers beyond the cap: many, one without end, and 1xx without end")
    func largeHeaders() async throws {
        try await withServer { connection in
            guard let request = connection.readRequest() else { return }
            if request.head.hasPrefix("GET /early") {
                while connection.write("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") {}
                return
            }
            connection.write("HTTP/1.1 200 OK\r\nX: ")
            let isMany = request.head.hasPrefix("GET /many")
            while connection.write(isMany ? "y\r\nX: " : String(repeating: "y", count: 1024)) {}
        } _: { client, server in
            for path in ["/many", "/line", "/early"] {
                let error = await failure(client, CurlRequest(url: server.url + path, maxResponseBytes: 10_000).patient)
                #expect(error?.code == .responseTooLarge, "\(path): \(String(describing: error))")
                #expect(error?.unsent == false)
            }
        }
    }

    @Test("exactly the cap is fine, one byte more is not")
    func capIsExact() async throws {
        let head = "HTTP/1.1 200 OK\r\n\r\n"
        try await withServer { connection in
            _ = connection.readRequest()
            connection.write(head + "12345")
        } _: { client, server in
            let whole = head.utf8.count + 5
            let response = try await client.execute(CurlRequest(url: server.url, maxResponseBytes: whole).patient)
            #expect(response.body.count == 5)
            let error = await failure(client, CurlRequest(url: server.url, maxResponseBytes: whole - 1).patient)
            #expect(error?.code == .responseTooLarge)
        }
    }
}
