import Testing

@testable import CurlClient

/// Against nginx, with a certificate for `localhost`.
@Suite("TLS")
struct TLSTests {
    @Test("a known authority and the right name are accepted, by HTTP/2; nothing else is")
    func verification() async throws {
        let server = try await TLSServer()
        defer { server.stop() }
        try await withClient { client in
            let tls = CurlTLS(caFile: server.caFile)
            let good = try await client.execute(
                CurlRequest(method: "POST", url: "https://localhost:\(server.port)/", body: [1, 2], tls: tls).patient)
            #expect(good.status == 200)
            #expect(good.body == Array("hello".utf8))
            #expect(good.httpVersion == .http2)
            #expect(good.first("X-Method") == "POST")

            let again = try await client.execute(
                CurlRequest(url: "https://localhost:\(server.port)/", tls: tls).patient)
            #expect(again.timing.connect == .zero)

            let unknown = await failure(client, CurlRequest(url: "https://localhost:\(server.port)/").patient)
            #expect(unknown?.code == .tls)
            #expect(unknown?.unsent == true)

            let wrongName = await failure(
                client, CurlRequest(url: "https://127.0.0.1:\(server.port)/", tls: tls).patient)
            #expect(wrongName?.code == .tls)
            #expect(wrongName?.unsent == true)

            let noFile = await failure(
                client,
                CurlRequest(url: "https://localhost:\(server.port)/", tls: CurlTLS(caFile: "/nonexistent/ca.pem"))
                    .patient)
            #expect(noFile?.code == .tls)
            #expect(noFile?.unsent == true)
        }
    }

    @Test("200 requests at once over HTTP/2")
    func multiplexed() async throws {
        let server = try await TLSServer()
        defer { server.stop() }
        try await withClient(CurlClientConfiguration(maxConnectionsPerHost: 1)) { client in
            let request = CurlRequest(
                url: "https://localhost:\(server.port)/", tls: CurlTLS(caFile: server.caFile)
            ).patient
            let versions = try await withThrowingTaskGroup(of: CurlHTTPVersion.self) { group in
                for _ in 0..<200 { group.addTask { try await client.execute(request).httpVersion } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(versions == Array(repeating: .http2, count: 200))
        }
    }

    @Test("a server that speaks no TLS")
    func plainServer() async throws {
        try await withServer({ $0.write("HTTP/1.1 400 Bad Request\r\n\r\n") }) { client, server in
            let error = await failure(client, CurlRequest(url: "https://127.0.0.1:\(server.port)/").patient)
            #expect(error?.code == .tls)
            #expect(error?.unsent == true)
        }
    }
}
