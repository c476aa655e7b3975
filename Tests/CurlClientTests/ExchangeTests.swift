import Testing

@testable import CurlClient

/// Requests and responses as they should be.
@Suite("Exchange")
struct ExchangeTests {
    @Test("status, headers in order and body come back; lookup ignores case; trailers and 1xx stay out")
    func roundTrip() async throws {
        try await withServer { connection in
            while connection.readRequest() != nil {
                connection.write("HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n")
                connection.write("HTTP/1.1 201 Created\r\nX-A:  one \r\nx-b: two\r\nX-A: three\r\nX-Empty:\r\n")
                connection.write("Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: no\r\n\r\n")
            }
        } _: { client, server in
            let response = try await client.execute(CurlRequest(url: server.url + "/path?q=1").patient)
            #expect(response.status == 201)
            #expect(response.headers.map(\.name) == ["X-A", "x-b", "X-A", "X-Empty", "Transfer-Encoding", "Trailer"])
            #expect(response.headers.map(\.value) == ["one", "two", "three", "", "chunked", "X-T"])
            #expect(response.first("x-a") == "one")
            #expect(response.first("X-B") == "two")
            #expect(response.first("X-Early") == nil)
            #expect(response.first("X-T") == nil)
            #expect(response.body == Array("hello".utf8))
            #expect(response.httpVersion == .http11)
            #expect(response.primaryIP == "127.0.0.1")
            #expect(response.timing.total > .zero)
        }
    }

    @Test("the request goes out as given, with nothing that was not asked for")
    func requestBytes() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() { connection.answer(body: Array(request.head.utf8)) }
        } _: { client, server in
            let headers = [("X-One", "1"), ("X-Blank", ""), ("Authorization", "Bearer abc")]
            for (method, body) in [("POST", [UInt8]("a=b".utf8)), ("PUT", nil), ("DELETE", nil), ("GET", nil)] {
                let response = try await client.execute(
                    CurlRequest(method: method, url: server.url + "/token?x=%20", headers: headers, body: body).patient)
                var lines = String(decoding: response.body, as: UTF8.self).split(separator: "\r\n").map(String.init)
                #expect(lines.removeFirst() == "\(method) /token?x=%20 HTTP/1.1")
                let length =
                    body.map { ["Content-Length: \($0.count)"] } ?? (method == "PUT" ? ["Content-Length: 0"] : [])
                let expected =
                    [
                        "Host: 127.0.0.1:\(server.port)", "Accept: */*", "X-One: 1", "X-Blank:",
                        "Authorization: Bearer abc",
                    ] + length
                #expect(lines.map { $0.trimmingSuffix(" ") } == expected)
            }
        }
    }

    @Test("a body may hold any byte, and be large both ways")
    func binaryBodies() async throws {
        try await withServer(echo) { client, server in
            let small = (0...255).map { UInt8($0) }
            let large = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            for body in [[], small, large] {
                let request = CurlRequest(method: "POST", url: server.url, body: body, maxResponseBytes: 2 << 20)
                    .patient
                let response = try await client.execute(request)
                #expect(response.body == body)
            }
        }
    }

    @Test("HEAD has the length but no body")
    func head() async throws {
        try await withServer { connection in
            while connection.readRequest() != nil { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n") }
        } _: { client, server in
            let response = try await client.execute(CurlRequest(method: "HEAD", url: server.url).patient)
            #expect(response.first("Content-Length") == "42")
            #expect(response.body.isEmpty)
        }
    }

    @Test("one connection serves many requests, and none after its idle age")
    func keepAlive() async throws {
        try await withServer(echo) { client, server in
            for _ in 0..<20 { _ = try await client.execute(CurlRequest(url: server.url).patient) }
            #expect(server.counters.connections == 1)
            #expect(server.counters.requests == 20)
        }
        let configuration = CurlClientConfiguration(singleSendIdleReuse: .zero)
        try await withServer(echo, configuration: configuration) { client, server in
            for _ in 0..<3 { _ = try await client.execute(CurlRequest(url: server.url, singleSend: true).patient) }
            #expect(server.counters.connections == 3)
        }
    }

    @Test("500 requests at once, each with its own answer")
    func concurrent() async throws {
        try await withServer(echo) { client, server in
            let answers = try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let request = CurlRequest(method: "POST", url: server.url, body: Array("\(number)".utf8))
                            .patient
                        return (number, try await client.execute(request).body)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect(answers.count == 500)
            #expect(answers.allSatisfy { $0.value == Array("\($0.key)".utf8) })
            #expect(server.counters.requests == 500)
        }
    }

    @Test("the limit per host holds, and those who wait are served")
    func connectionLimit() async throws {
        try await withServer(echo, configuration: CurlClientConfiguration(maxConnectionsPerHost: 2)) { client, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask { _ = try await client.execute(CurlRequest(url: server.url).patient) }
                }
                try await group.waitForAll()
            }
            #expect(server.counters.connections == 2)
            #expect(server.counters.requests == 50)
        }
    }

    @Test("a redirect is an answer; followed only when asked for, and never from http to another protocol")
    func redirects() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() {
                if request.head.hasPrefix("GET /file") {
                    connection.answer("302 Found", headers: "Location: file:///etc/hostname\r\n")
                } else if request.head.hasPrefix("GET /go") {
                    connection.answer("302 Found", headers: "Location: /there\r\nX-First: yes\r\n", body: [1, 2, 3])
                } else {
                    connection.answer(body: Array("there".utf8))
                }
            }
        } _: { client, server in
            let plain = try await client.execute(CurlRequest(url: server.url + "/go").patient)
            #expect(plain.status == 302)
            #expect(plain.first("location") == "/there")
            #expect(server.counters.requests == 1)

            let single = try await client.execute(
                CurlRequest(url: server.url + "/go", followRedirects: true, singleSend: true).patient)
            #expect(single.status == 302)

            let followed = try await client.execute(CurlRequest(url: server.url + "/go", followRedirects: true).patient)
            #expect(followed.status == 200)
            #expect(followed.first("X-First") == nil)
            #expect(followed.body == Array("there".utf8))

            let file = await failure(client, CurlRequest(url: server.url + "/file", followRedirects: true).patient)
            #expect(file?.code == .malformedURL)
            #expect(file?.unsent == false)
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        last == suffix ? String(dropLast()) : self
    }
}
