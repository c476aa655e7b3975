import NIOConcurrencyHelpers
import Testing

@testable import CurlClient

/// What a stream hands over of a response.
@Suite("Streamed responses")
struct StreamResponseTests {
    @Test("head and body by length, by chunks and by the end of the connection")
    func bodies() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() {
                if request.head.hasPrefix("GET /length") {
                    connection.write("HTTP/1.1 404 No Such Thing\r\nX-A: 1\r\nContent-Length: 5\r\nx-a: 2\r\n\r\nhello")
                } else if request.head.hasPrefix("GET /chunked") {
                    connection.write(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n")
                } else {
                    connection.write("HTTP/1.0 200\r\nX-Fold: a\r\n b\r\nX-Bad: c\rd\r\n\r\nhello")
                    return
                }
            }
        } _: { client, server in
            let length = try await client.open(CurlRequest(url: server.url + "/length").patient)
            #expect(length.head.status == 404)
            #expect(length.head.reason == "No Such Thing")
            #expect(length.head.headers.map(\.name) == ["X-A", "Content-Length", "x-a"])
            #expect(length.head.headers.map(\.value) == ["1", "5", "2"])
            #expect(length.head.first("CONTENT-LENGTH") == "5")
            #expect(length.head.httpVersion == .http11)
            #expect(try await length.rest() == Array("hello".utf8))
            #expect(try await length.next() == nil)

            let chunked = try await client.open(CurlRequest(url: server.url + "/chunked").patient)
            #expect(try await chunked.rest() == Array("hello".utf8))
            #expect(chunked.trailers.isEmpty)

            let endless = try await client.open(CurlRequest(url: server.url + "/end").patient)
            #expect(endless.head.httpVersion == .http10)
            #expect(endless.head.reason == "")
            #expect(endless.head.first("x-fold") == "a b")
            #expect(endless.head.first("x-bad") == "c d")
            #expect(try await endless.rest() == Array("hello".utf8))
            // The first two bodies left their connection to the next request.
            #expect(server.counters.connections == 1)
        }
    }

    @Test("trailers are kept apart, also when they come while nobody reads")
    func trailers() async throws {
        let large = [UInt8](repeating: 7, count: 200_000)
        try await withServer { connection in
            while let request = connection.readRequest() {
                let body = request.head.hasPrefix("GET /large") ? large : Array("hi".utf8)
                connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n")
                connection.write(Array("\(String(body.count, radix: 16))\r\n".utf8) + body)
                connection.write("\r\n0\r\nX-T: one\r\nX-U: two\r\nX-T: three\r\n\r\n")
            }
        } _: { client, server in
            for (path, count) in [("/small", 2), ("/large", large.count)] {
                let stream = try await client.open(
                    CurlRequest(url: server.url + path).patient, limits: CurlStreamLimits(window: 1000))
                let body = try await stream.rest()
                #expect(body.count == count)
                #expect(stream.trailers.map(\.name) == ["X-T", "X-U", "X-T"])
                #expect(stream.trailers.map(\.value) == ["one", "two", "three"])
                #expect(stream.head.first("X-U") == nil)
            }
            #expect(server.counters.connections == 1)
        }
    }

    @Test("informational heads are handed on as they come, before the final one")
    func informational() async throws {
        let seen = NIOLockedValueBox<[CurlResponseHead]>([])
        try await withServer { connection in
            while connection.readRequest() != nil {
                connection.write("HTTP/1.1 102 Processing\r\n\r\n")
                connection.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n")
                // Only when the client has told of them does the final head follow.
                while seen.withLockedValue({ $0.count < 2 }) { pause(milliseconds: 1) }
                connection.answer(headers: "X-Final: yes\r\n", body: [1])
            }
        } _: { client, server in
            let stream = try await client.open(CurlRequest(url: server.url).patient) { head in
                seen.withLockedValue { $0.append(head) }
            }
            let heads = seen.withLockedValue { $0 }
            #expect(heads.map(\.status) == [102, 103])
            #expect(heads.last?.reason == "Early Hints")
            #expect(heads.last?.headers.map(\.value) == ["</a>", "</b>"])
            #expect(stream.head.status == 200)
            #expect(stream.head.first("link") == nil)
            #expect(try await stream.rest() == [1])
        }
    }

    @Test("no body: HEAD, 204 and 304, whatever their length says")
    func noBody() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() {
                let status =
                    request.head.hasPrefix("HEAD") ? "200 OK" : request.head.hasPrefix("GET /204") ? "204 -" : "304 -"
                let length = status == "204 -" ? "" : "Content-Length: 42\r\n"
                connection.write("HTTP/1.1 \(status)\r\n\(length)\r\n")
            }
        } _: { client, server in
            for (method, path) in [("HEAD", "/"), ("GET", "/204"), ("GET", "/304")] {
                let stream = try await client.open(CurlRequest(method: method, url: server.url + path).patient)
                #expect(stream.head.first("content-length") == (path == "/204" ? nil : "42"))
                #expect(try await stream.next() == nil)
            }
            #expect(server.counters.connections == 1)
        }
    }

    @Test("content codings and redirects pass untouched")
    func untouched() async throws {
        // Not even gzip: a client that decoded it would fail.
        let body = Array("no gzip at all".utf8)
        try await withServer { connection in
            while let request = connection.readRequest() {
                if request.head.hasPrefix("GET /go") {
                    connection.answer("302 Found", headers: "Location: /there\r\n")
                } else {
                    connection.answer(headers: "Content-Encoding: gzip\r\n", body: body)
                }
            }
        } _: { client, server in
            let coded = try await client.open(
                CurlRequest(url: server.url, headers: [("Accept-Encoding", "gzip")], followRedirects: true).patient)
            #expect(coded.head.first("content-encoding") == "gzip")
            #expect(try await coded.rest() == body)
            let moved = try await client.open(CurlRequest(url: server.url + "/go", followRedirects: true).patient)
            #expect(moved.head.status == 302)
            #expect(moved.head.first("location") == "/there")
            #expect(try await moved.rest() == [])
            #expect(server.counters.requests == 2)
        }
    }

    @Test("the request goes out as given: no header of libcurl's own, the path as it is, a body from memory")
    func requestBytes() async throws {
        try await withServer { connection in
            while let request = connection.readRequest() {
                connection.answer(body: Array(request.head.utf8) + Array("|".utf8) + request.body)
            }
        } _: { client, server in
            let plain = try await client.open(
                CurlRequest(
                    url: server.url + "/a/../b/./%2e%2e/c?x=/../y", headers: [("X-B", "2"), ("X-A", "1"), ("X-B", "3")]
                ).patient
            )
            let text = String(decoding: try await plain.rest(), as: UTF8.self)
            #expect(
                text == "GET /a/../b/./%2e%2e/c?x=/../y HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\n"
                    + "X-B: 2\r\nX-A: 1\r\nX-B: 3|")

            let posted = try await client.open(
                CurlRequest(method: "POST", url: server.url, headers: [("Accept", "a/b")], body: Array("body".utf8))
                    .patient)
            let other = String(decoding: try await posted.rest(), as: UTF8.self)
            #expect(
                other == "POST / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nAccept: a/b\r\nContent-Length: 4|body")
        }
    }

    @Test("where two lengths are given they must agree, and none counts beside chunks")
    func framing() throws {
        func checked(_ headers: [(name: String, value: String)]) -> [String]? {
            ResponseFraming.checked(CurlResponseHead(status: 200, headers: headers))?.headers.map {
                "\($0.name)=\($0.value)"
            }
        }
        #expect(checked([("A", "1")]) == ["A=1"])
        #expect(checked([("Content-Length", "5")]) == ["Content-Length=5"])
        #expect(
            checked([("Content-Length", "5"), ("A", "1"), ("content-length", "5")]) == ["Content-Length=5", "A=1"])
        #expect(checked([("Content-Length", "5"), ("Content-Length", "6")]) == nil)
        #expect(checked([("Content-Length", "5, 6")]) == nil)
        #expect(checked([("Content-Length", "-5")]) == nil)
        #expect(checked([("Content-Length", "+5")]) == nil)
        #expect(checked([("Content-Length", "")]) == nil)
        #expect(
            checked([("content-length", "5"), ("Transfer-Encoding", "chunked"), ("Content-Length", "5")])
                == ["Transfer-Encoding=chunked"])
    }
}
