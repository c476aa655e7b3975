import Gateway
import Testing

@testable import PerennialAPI

/// Requests of which two servers could make different things, on raw bytes at the real server.
@Suite struct SmugglingTests {
    struct Attempt: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var testDescription: String { name }
    }

    private static func post(_ name: String, _ headers: String, _ body: String = "", version: String = "1.1") -> Attempt
    {
        Attempt(name: name, text: "POST /gw/api/x HTTP/\(version)\r\nHost: localhost\r\n\(headers)\r\n\(body)")
    }

    static let attempts: [Attempt] = [
        post("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
        post("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\nG"),
        post("two lengths", "Content-Length: 3\r\nContent-Length: 5\r\n", "abcde"),
        post("the same length twice", "Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        post("a list of lengths", "Content-Length: 3, 3\r\n", "abc"),
        post("a signed length", "Content-Length: +3\r\n", "abc"),
        post("a negative length", "Content-Length: -3\r\n", "abc"),
        post("a hexadecimal length", "Content-Length: 0x3\r\n", "abc"),
        post("a length with a blank in it", "Content-Length: 1 0\r\n", "abc"),
        post("an enormous length", "Content-Length: 99999999999999999999999\r\n", "abc"),
        post("another coding", "Transfer-Encoding: gzip\r\n", "abc"),
        post("chunks in another coding", "Transfer-Encoding: gzip, chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("chunks and identity", "Transfer-Encoding: chunked, identity\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("almost chunks", "Transfer-Encoding: xchunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("chunks with a vertical tab", "Transfer-Encoding: \u{B}chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("a blank before the colon", "Transfer-Encoding : chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("a length with a blank before the colon", "Content-Length : 3\r\n", "abc"),
        post("a folded header", "X-A: b\r\n c\r\n"),
        post("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        post("a header without a name", ": b\r\n"),
        post("a name with a blank", "X A: b\r\n"),
        post("a bare CR in a value", "X-A: b\rX-B: c\r\n"),
        post("a NUL in a value", "X-A: b\u{0}c\r\n"),
        post("chunks in HTTP/1.0", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", version: "1.0"),
        post("a chunk of size 0x3", "Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"),
        post("a chunk of a negative size", "Transfer-Encoding: chunked\r\n", "-3\r\nabc\r\n0\r\n\r\n"),
        post(
            "a chunk of a size beyond 64 bits", "Transfer-Encoding: chunked\r\n",
            "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        post("a chunk without a size", "Transfer-Encoding: chunked\r\n", "\r\nabc\r\n0\r\n\r\n"),
        post("a chunk that is longer than it says", "Transfer-Encoding: chunked\r\n", "3\r\nabcdef\r\n0\r\n\r\n"),
        post("a chunk that ends in a line feed", "Transfer-Encoding: chunked\r\n", "3\r\nabc\n0\r\n\r\n"),
        post("a chunk whose size ends in a line feed", "Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
        post("two hosts", "Host: other\r\n"),
        Attempt(name: "no host", text: "GET /gw/api/x HTTP/1.1\r\n\r\n"),
        Attempt(name: "bare line feeds", text: "GET /gw/api/x HTTP/1.1\nHost: localhost\n\n"),
        Attempt(name: "another protocol", text: "GET /gw/api/x HTTP/2.0\r\nHost: localhost\r\n\r\n"),
        Attempt(name: "a blank in the target", text: "GET /gw/api/x y HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ]

    @Test(arguments: attempts)
    func isRefusedAndTheConnectionClosed(attempt: Attempt) async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200, "passed on") }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            let wire = try await Wire(client)
            // What is hidden behind it must never be taken for a request of its own.
            try await wire.send(attempt.text + "GET /gw/api/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let text = try await wire.readToEnd()
            #expect(["400", "501"].contains { text.hasPrefix("HTTP/1.1 \($0) ") }, "\(text)")
            #expect(text.components(of: "Content-Length: ") == 1, "\(text)")
            #expect(upstream.calls.isEmpty)
        }
    }

    @Test func whatIsOddAndStillClearIsPassedOnOnce() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { .whole(200, "got \($0.body)") }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            for (headers, body) in [
                ("Transfer-Encoding: Chunked\r\n", "3;ext=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"),
                ("transfer-encoding: chunked\r\n", "0003\r\nabc\r\n00\r\n\r\n"), ("CONTENT-LENGTH: 003\r\n", "abc"),
            ] {
                let outcome = try await client.exchange(
                    "POST /gw/api/x HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n\(body)"
                        + "GET /gw/api/y HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 2)
                #expect(outcome.responses.map(\.body) == ["got abc", "got "])
            }
            #expect(upstream.calls.allSatisfy { $0.header("transfer-encoding") == nil })
            #expect(upstream.calls.allSatisfy { $0.header("content-length") == nil })
        }
    }

    @Test func hugeHeadersAreRefused() async throws {
        let house = try House()
        try house.addWarm("a")
        let upstream = ScriptedUpstream { _ in .whole(200) }
        try await house.serve(gateway: try house.gateway(upstream)) { client async throws in
            for headers in [
                "X-A: \(String(repeating: "a", count: 17_000))\r\n",
                (0..<40).map { "X-\($0): \(String(repeating: "a", count: 1000))\r\n" }.joined(),
                (0..<200).map { "X-\($0): a\r\n" }.joined(),
            ] {
                let wire = try await Wire(client)
                try await wire.send("GET /gw/api/x HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n")
                #expect(try await wire.readToEnd().hasPrefix("HTTP/1.1 431 "))
            }
            #expect(upstream.calls.isEmpty)
        }
    }
}

extension String {
    /// How often `text` stands in it.
    func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: text) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}
