import NIOConcurrencyHelpers
import PerennialServers
import Testing

@testable import RedisClient

extension ManyServers {
    /// Real servers, with fakes for what Sentinels say rarely.
    @Suite struct SentinelTests {
        private typealias Fake = FakeServer

        private func patient(_ configuration: inout RedisConfiguration) {
            configuration.commandTimeout = .seconds(10)
            configuration.reconnectBackoff = ReconnectBackoff(base: .milliseconds(10), cap: .milliseconds(200))
        }

        private static func address(_ port: Int?) -> String {
            Fake.array([Fake.bulk("127.0.0.1"), Fake.bulk(port ?? 0)])
        }

        @Test func theKilledPrimaryIsReplaced() async throws {
            try await within(.seconds(180)) {
                try await withSentinelGroup { group in
                    try await withClient(group.url, patient) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        var events = client.subscribe(to: ["c"]).makeAsyncIterator()
                        #expect(await events.next() == .subscribed(channel: "c"))
                        _ = try await client.withConnection { lease in
                            _ = try await lease.send(RedisCommand("SET", "a", 1))
                            return try await lease.send(RedisCommand("WAIT", 1, 10_000), timeout: .seconds(15))
                        }
                        let old = try await group.primary()
                        await old.kill()
                        try await eventually("writes go on", within: .seconds(60)) {
                            (try? await client.send(RedisCommand("INCR", "b"))) != nil
                        }
                        #expect(try await client.send(RedisCommand("GET", "a")).int == 1)
                        #expect(try await client.send(RedisCommand("ROLE")).array?.first?.string == "master")
                        _ = try await client.withConnection { try await $0.send(RedisCommand("SET", "c", 1)) }
                        #expect(await events.next() == .disconnected)
                        #expect(await events.next() == .subscribed(channel: "c"))
                        _ = try await client.send(RedisCommand("PUBLISH", "c", "x"))
                        #expect(await events.next() == .message(channel: "c", payload: [0x78]))
                    }
                }
            }
        }

        /// The old primary lives and takes writes for many seconds more; they would be lost.
        @Test func anAnnouncedFailoverIsFollowedAtOnce() async throws {
            try await within(.seconds(180)) {
                try await withSentinelGroup { group in
                    try await withClient(group.url, patient) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        _ = client.subscribe(to: ["c"])
                        let old = try await group.primary()
                        _ = try await client.send(RedisCommand("SET", "a", 1))
                        try await group.failOver()
                        let new = try await group.primary()
                        try await eventually("commands go to the new primary", within: .seconds(60)) {
                            let id = try? await client.send(RedisCommand("CONFIG", "GET", "port")).array?.last?.string
                            return id == "\(new.port ?? 0)"
                        }
                        #expect(new !== old)
                        try await client.withConnection { lease in
                            let port = try await lease.send(RedisCommand("CONFIG", "GET", "port")).array?.last?.string
                            #expect(port == "\(new.port ?? 0)", "an idle lease of the old primary is not used")
                        }
                    }
                }
            }
        }

        /// A Sentinel that was cut off names a server that is a replica by now.
        @Test func aStaleAnswerIsRefusedByRole() async throws {
            try await within(.seconds(120)) {
                try await withRedisServer(.init(.tcp)) { primary in
                    let following = RedisServer.Options(.tcp, directives: ["replicaof 127.0.0.1 \(primary.port ?? 0)"])
                    try await withRedisServer(following) { replica in
                        try await withFakeServers(1) { servers in
                            let sentinel = servers[0]
                            let named = NIOLockedValueBox(replica.port)
                            sentinel.say { command in
                                command[0] == "SENTINEL" ? Self.address(named.withLockedValue { $0 }) : nil
                            }
                            let url = "redis+sentinel://127.0.0.1:\(sentinel.port)/main"
                            try await withClient(url, patient) { client in
                                try await eventually("refused with the reason", within: .seconds(60)) {
                                    let error = await failure { () throws(RedisError) in
                                        try await client.send(RedisCommand("GET", "a"))
                                    }
                                    return error?.code == .unavailable
                                        && error?.message.contains("role is slave") == true
                                }
                                #expect(sentinel.commands.contains(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]))
                                named.withLockedValue { $0 = primary.port }
                                try await client.waitUntilReady(timeout: .seconds(60))
                                _ = try await client.send(RedisCommand("SET", "a", 1))
                            }
                        }
                    }
                }
            }
        }

        /// READONLY means that the primary has become a replica: nothing was written, the connection is left.
        @Test func aPrimaryThatBecomesAReplicaIsLeft() async throws {
            try await within(.seconds(120)) {
                try await withRedisServer(.init(.tcp)) { first in
                    try await withRedisServer(.init(.tcp)) { second in
                        try await withFakeServers(1) { servers in
                            let named = NIOLockedValueBox(first.port)
                            servers[0].say { command in
                                command[0] == "SENTINEL" ? Self.address(named.withLockedValue { $0 }) : nil
                            }
                            let url = "redis+sentinel://127.0.0.1:\(servers[0].port)/main"
                            try await withClient(url, patient) { client in
                                try await client.waitUntilReady(timeout: .seconds(60))
                                named.withLockedValue { $0 = second.port }
                                try await first.ask("replicaof", "127.0.0.1", "\(second.port ?? 0)")
                                let error = await failure { () throws(RedisError) in
                                    try await client.send(RedisCommand("SET", "a", 1))
                                }
                                #expect(error?.serverError?.code == "READONLY")
                                #expect(error?.mayHaveExecuted == false)
                                try await eventually("writes reach the new primary") {
                                    (try? await client.send(RedisCommand("SET", "a", 2))) != nil
                                }
                                #expect(try await second.ask("get", "a") == "2")
                            }
                        }
                    }
                }
            }
        }

        @Test func silentAndIgnorantSentinelsArePassedOver() async throws {
            try await within(.seconds(120)) {
                try await withRedisServer(.init(.tcp)) { primary in
                    try await withFakeServers(2) { servers in
                        servers[0].say { $0[0] == "SENTINEL" ? "*-1\r\n" : nil }
                        servers[1].say { $0[0] == "SENTINEL" ? Self.address(primary.port) : nil }
                        let free = try FreePort.find()
                        let url =
                            "redis+sentinel://127.0.0.1:\(free),127.0.0.1:\(servers[0].port),127.0.0.1:\(servers[1].port)/main"
                        try await withClient(url, patient) { client in
                            try await client.waitUntilReady(timeout: .seconds(60))
                            let value = try await client.send(RedisCommand("INCR", "a")).int
                            #expect(value == 1)
                        }
                    }
                }
            }
        }

        @Test func nobodyKnowsTheMaster() async throws {
            try await withFakeServers(1) { servers in
                servers[0].say { $0[0] == "SENTINEL" ? "*-1\r\n" : nil }
                try await withClient("redis+sentinel://127.0.0.1:\(servers[0].port)/other", patient) { client in
                    try await eventually("refused with the reason", within: .seconds(60)) {
                        let error = await failure { () throws(RedisError) in
                            try await client.send(RedisCommand("GET", "a"))
                        }
                        return error?.code == .unavailable && error?.message.contains("no master named other") == true
                    }
                }
            }
        }

        /// The login of the URL is for the data servers; a Sentinel gets it only when it asks.
        @Test func aSentinelIsGivenTheLoginOnlyWhenItAsks() async throws {
            try await within(.seconds(120)) {
                try await withRedisServer(.init(.tcp, password: "hunter2")) { primary in
                    try await withFakeServers(2) { servers in
                        let isOpen = NIOLockedValueBox(false)
                        servers[0].say { command in
                            if command == ["AUTH", "hunter2"] { isOpen.withLockedValue { $0 = true } }
                            guard isOpen.withLockedValue({ $0 }) else { return "-NOAUTH Authentication required.\r\n" }
                            return command[0] == "SENTINEL" ? Self.address(primary.port) : nil
                        }
                        servers[1].say { $0[0] == "SENTINEL" ? Self.address(primary.port) : nil }
                        for server in servers {
                            let url = "redis+sentinel://:hunter2@127.0.0.1:\(server.port)/main"
                            try await withClient(url, patient) { client in
                                try await client.waitUntilReady(timeout: .seconds(60))
                                let value = try await client.send(RedisCommand("INCR", "a")).int
                                #expect(value != nil)
                            }
                        }
                        #expect(servers[0].count("AUTH") > 0)
                        #expect(servers[1].count("AUTH") == 0)
                    }
                }
            }
        }

        @Test func announcementsOfOtherMastersAreIgnored() {
            let text = "main 127.0.0.1 1 127.0.0.1 2"
            #expect(SentinelWatch.newAddress(text, of: "main") == .tcp(host: "127.0.0.1", port: 2))
            #expect(SentinelWatch.newAddress(text, of: "other") == nil)
            #expect(SentinelWatch.newAddress("main 127.0.0.1 1", of: "main") == nil)
            #expect(SentinelWatch.newAddress("main 127.0.0.1 1 h x", of: "main") == nil)
        }
    }
}
