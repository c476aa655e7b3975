import CurlClient
import NIOCore
import NIOPosix
import PerennialServers
import Testing

/// Upstreams that are not there, say nothing, stop in the middle or talk nonsense: callers get a clear error in bounded time,
/// and never half an answer as if it were whole.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct UpstreamFaultTests {
    @Test func everythingIsBounded() async throws {
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { $0.eventLoop.makeSucceededVoidFuture() }
            .bind(host: "127.0.0.1", port: 0).get()
        let cutting = try await AnsweringServer.start { request, _ in
            if request.contains(" /nonsense ") { return "220 smtp.example ESMTP\r\n" }
            if request.contains(" /two ") {
                return "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"
            }
            if request.contains(" /chunks ") {
                return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
            }
            if request.contains(" /head ") { return "HTTP/1.1 200 OK\r\nContent-Len" }
            return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabcde"
        }
        let silentPort = try #require(silent.localAddress?.port)
        let nobody = try FreePort.find()
        let setup = CrashSite.Setup(more: { _ in
            let times = "timeouts: { connect: 15s, first_byte: 15s, idle: 15s }"
            let short = "timeouts: { connect: 15s, first_byte: 300ms, idle: 300ms }"
            return """
                routes:
                  silent: { upstream: "http://127.0.0.1:\(silentPort)", account: a, \(short) }
                  cutting: { upstream: "http://127.0.0.1:\(cutting.port)", account: a, \(times) }
                  nobody: { upstream: "http://127.0.0.1:\(nobody)", account: a, \(times) }

                """
        })
        try await CrashSite.run(setup) { site in
            var account = try await site.mock.seedOne("a-", isExpired: false)
            account.id = "a"
            try await site.put(account)
            @Sendable func get(_ path: String) async throws(CurlError) -> CurlResponse {
                try await site.workshop.http.execute(
                    CurlRequest(url: "\(site.instances[0].origin)/gw/\(path)", totalTimeout: .seconds(60)))
            }
            for (path, status, type) in [
                ("silent/x", 504, "upstream_timeout"), ("nobody/x", 502, "upstream_unreachable"),
                ("cutting/nonsense", 502, "upstream_broken"), ("cutting/two", 502, "upstream_broken"),
                ("cutting/head", 502, "upstream_broken"),
            ] {
                let answer = try await get(path)
                let body = String(decoding: answer.body, as: UTF8.self)
                #expect(answer.status == status, "\(path): \(body)")
                #expect(body.contains("problem:\(type)"), "\(path): \(body)")
                #expect(answer.first("Perennial-Attempts") == "1")
                #expect(!body.contains(account.accessToken ?? "-"))
            }
            for path in ["cutting/length", "cutting/chunks"] {
                let error = await #expect(throws: CurlError.self) { _ = try await get(path) }
                #expect(error?.code == .truncated, "\(String(describing: error))")
            }
        }
        try await silent.close()
        await cutting.stop()
    }
}
