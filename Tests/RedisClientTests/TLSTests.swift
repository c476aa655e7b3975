import PerennialServers
import Testing

@testable import RedisClient

@Suite struct TLSTests {
    private func reply(_ server: RedisServer, host: String = "localhost", _ tls: RedisTLS) async throws -> RedisError? {
        try await withClient("rediss://\(host):\(server.port ?? 0)", { $0.tls = tls }) { client in
            await failure { () throws(RedisError) in try await client.send(RedisCommand("PING")) }
        }
    }

    @Test func verifiesTheServer() async throws {
        try await withRedisServer(.init(.tls(requireClientCertificate: false))) { server in
            let ca = try #require(server.certificates?.caFile)
            #expect(try await reply(server, RedisTLS(caFile: ca)) == nil)
            #expect(try await reply(server, host: "127.0.0.1", RedisTLS(caFile: ca)) == nil, "by its address")
            #expect(try await reply(server, host: "127.0.0.1", RedisTLS(caFile: ca, serverName: "localhost")) == nil)

            let otherName = try await reply(server, RedisTLS(caFile: ca, serverName: "redis.example.com"))
            #expect(otherName?.code == .unavailable)
            #expect(otherName?.message.contains("TLS failed") == true, "\(otherName as Any)")

            let systemTrust = try await reply(server, RedisTLS())
            #expect(systemTrust?.message.contains("TLS failed") == true, "\(systemTrust as Any)")
        }
    }

    @Test(arguments: [
        ("localhost", "LOCALHOST", true), ("a.b", "a.b.", true), ("*.redis.example", "x.redis.example", true),
        ("*.redis.example", "redis.example", false), ("*.redis.example", "a.b.redis.example", false),
        ("*.example", "redis.example", false), ("*", "localhost", false), ("r*.a.b", "redis.a.b", false),
        ("", "", false),
        ("a.b", "a.c", false), ("*.a.b", ".a.b", false),
    ]) func namesOfCertificates(pattern: String, host: String, matches: Bool) {
        #expect(ServerNameCheck.matches(pattern: pattern, host: host) == matches)
    }

    @Test func refusesAnotherAuthority() async throws {
        try await withRedisServer(.init(.tls(requireClientCertificate: false))) { server in
            // A certificate that is not an authority for the server's.
            let other = try #require(server.certificates?.clientCertificateFile)
            let error = try await reply(server, RedisTLS(caFile: other))
            #expect(error?.message.contains("TLS failed") == true, "\(error as Any)")
        }
    }

    @Test func clientCertificate() async throws {
        try await withRedisServer(.init(.tls(requireClientCertificate: true))) { server in
            let files = try #require(server.certificates)
            let good = RedisTLS(
                caFile: files.caFile, certificateFile: files.clientCertificateFile, keyFile: files.clientKeyFile)
            #expect(try await reply(server, good) == nil)
            let without = try await reply(server, RedisTLS(caFile: files.caFile))
            #expect(without?.code == .unavailable)
            try await withClient("rediss://localhost:\(server.port ?? 0)", { $0.tls = good }) { client in
                let subscription = client.subscribe(to: ["c"])
                var events = subscription.makeAsyncIterator()
                #expect(await events.next() == .subscribed(channel: "c"))
                let large = [UInt8](repeating: 1, count: 1 << 20)
                _ = try await client.send(RedisCommand("SET", "k", large))
                #expect(try await client.send(RedisCommand("GET", "k")).bytes == large)
            }
        }
    }

    @Test func unusableFilesAreNamed() async throws {
        try await withRedisServer(.init(.tls(requireClientCertificate: false))) { server in
            let files = try #require(server.certificates)
            let missing = try await reply(server, RedisTLS(caFile: "/nonexistent/ca.pem"))
            #expect(missing?.message.contains("/nonexistent/ca.pem") == true, "\(missing as Any)")
            let half = try await reply(
                server, RedisTLS(caFile: files.caFile, certificateFile: files.clientCertificateFile))
            #expect(half?.message.contains("together") == true, "\(half as Any)")
            let mixed = try await reply(
                server,
                RedisTLS(
                    caFile: files.caFile, certificateFile: files.clientCertificateFile, keyFile: files.serverKeyFile))
            #expect(mixed != nil)
        }
    }

    @Test func plainClientAtATLSPortDoesNotHang() async throws {
        try await withRedisServer(.init(.tls(requireClientCertificate: false))) { server in
            let error = try await withClient("redis://127.0.0.1:\(server.port ?? 0)") { client in
                await failure { () throws(RedisError) in try await client.send(RedisCommand("PING")) }
            }
            #expect(error?.code == .unavailable)
        }
    }
}
