import NIOConcurrencyHelpers
import PerennialServers
import Testing

@testable import RedisClient

extension ManyServers {
    /// A real Cluster of six.
    @Suite struct ClusterTests {
        private func patient(_ configuration: inout RedisConfiguration) {
            configuration.commandTimeout = .seconds(10)
            configuration.reconnectBackoff = ReconnectBackoff(base: .milliseconds(10), cap: .milliseconds(200))
        }

        /// What was asked for of each key, and what came back.
        private struct Ledger {
            var done: [String: Int] = [:]
            var unknown: [String: Int] = [:]
            var refused = 0
        }

        /// Counts up in many keys until it is told to stop.
        private static func load(
            _ client: RedisClient, workers: Int = 12, ledger: NIOLockedValueBox<Ledger>,
            isStopped: NIOLockedValueBox<Bool>
        ) async {
            await withDiscardingTaskGroup { group in
                for worker in 0..<workers {
                    group.addTask {
                        var number = 0
                        while !isStopped.withLockedValue({ $0 }) {
                            let key = "key:\(worker):\(number % 40)"
                            number += 1
                            do throws(RedisError) {
                                _ = try await client.send(RedisCommand("INCR", key), key: key)
                                ledger.withLockedValue { $0.done[key, default: 0] += 1 }
                            } catch {
                                ledger.withLockedValue { ledger in
                                    if error.mayHaveExecuted {
                                        ledger.unknown[key, default: 0] += 1
                                    } else {
                                        ledger.refused += 1
                                    }
                                }
                                try? await Task.sleep(for: .milliseconds(20))
                            }
                        }
                    }
                }
            }
        }

        @Test func nothingIsLostOrRepeatedWhileSlotsMove() async throws {
            try await within(.seconds(240)) {
                try await withRedisCluster { cluster in
                    try await withClient(cluster.url, patient) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        let (ledger, isStopped) = (NIOLockedValueBox(Ledger()), NIOLockedValueBox(false))
                        async let load: Void = Self.load(client, ledger: ledger, isStopped: isStopped)
                        // There and back again.
                        try await cluster.reshard(slots: 400, from: cluster.servers[0], to: cluster.servers[1])
                        try await cluster.reshard(slots: 400, from: cluster.servers[1], to: cluster.servers[0])
                        isStopped.withLockedValue { $0 = true }
                        await load
                        let result = ledger.withLockedValue { $0 }
                        #expect(result.unknown.isEmpty && result.refused == 0)
                        #expect(result.done.count > 100)
                        for (key, count) in result.done {
                            #expect(
                                try await client.send(RedisCommand("GET", key), key: key).int == Int64(count), "\(key)")
                        }
                    }
                }
            }
        }

        @Test func aLostPrimaryIsReplacedAndNothingIsRepeated() async throws {
            try await within(.seconds(240)) {
                try await withRedisCluster { cluster in
                    try await withClient(cluster.url, patient) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        let (ledger, isStopped) = (NIOLockedValueBox(Ledger()), NIOLockedValueBox(false))
                        async let load: Void = Self.load(client, ledger: ledger, isStopped: isStopped)
                        try await Task.sleep(for: .milliseconds(200))
                        await cluster.servers[0].kill()
                        try await cluster.waitForFailover(from: cluster.servers[0])
                        try await client.waitUntilReady(timeout: .seconds(60))
                        isStopped.withLockedValue { $0 = true }
                        await load
                        let result = ledger.withLockedValue { $0 }
                        for key in Set(result.done.keys).union(result.unknown.keys) {
                            let value = try await client.send(RedisCommand("GET", key), key: key).int ?? 0
                            // Replication is asynchronous, so the last ones may be gone; none may be there twice.
                            let most = Int64(result.done[key, default: 0] + result.unknown[key, default: 0])
                            #expect(value <= most, "\(key)")
                        }
                        // The lost one comes back as a replica and nobody minds.
                        try await cluster.servers[0].restart()
                        try await cluster.waitUntilHealthy(timeout: .seconds(60))
                        for number in 0..<50 {
                            _ = try await client.send(RedisCommand("SET", "after:\(number)", 1), key: "after:\(number)")
                        }
                    }
                }
            }
        }

        @Test func subscriptionsFollowWhenTheirNodeDies() async throws {
            try await within(.seconds(240)) {
                try await withRedisCluster { cluster in
                    try await withClient(cluster.url, patient) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        var events = client.subscribe(to: ["c"]).makeAsyncIterator()
                        #expect(await events.next() == .subscribed(channel: "c"))
                        // From every node.
                        for (number, server) in cluster.servers.prefix(3).enumerated() {
                            try await server.ask("publish", "c", "\(number)")
                            #expect(await events.next() == .message(channel: "c", payload: Array("\(number)".utf8)))
                        }
                        var bearer: RedisServer?
                        for server in cluster.servers.prefix(3)
                        where try await server.ask("pubsub", "numsub", "c").hasSuffix("1") { bearer = server }
                        let dead = try #require(bearer)
                        await dead.kill()
                        #expect(await events.next() == .disconnected)
                        #expect(await events.next() == .subscribed(channel: "c"))
                        for server in cluster.servers.prefix(3) where server !== dead {
                            try await server.ask("publish", "c", "still here")
                            #expect(await events.next() == .message(channel: "c", payload: Array("still here".utf8)))
                        }
                    }
                }
            }
        }

        /// The host is gone without a word: no connection is reset.
        @Test func subscriptionsLeaveANodeThatHangs() async throws {
            try await within(.seconds(240)) {
                try await withRedisCluster { cluster in
                    try await withClient(
                        cluster.url,
                        {
                            patient(&$0)
                            $0.commandTimeout = .seconds(2)
                        }
                    ) { client in
                        try await client.waitUntilReady(timeout: .seconds(60))
                        var events = client.subscribe(to: ["c"]).makeAsyncIterator()
                        #expect(await events.next() == .subscribed(channel: "c"))
                        var bearer: RedisServer?
                        for server in cluster.servers.prefix(3)
                        where try await server.ask("pubsub", "numsub", "c").hasSuffix("1") { bearer = server }
                        let dead = try #require(bearer)
                        await dead.pause()
                        let isStopped = NIOLockedValueBox(false)
                        async let load: Void = Self.load(
                            client, workers: 3, ledger: NIOLockedValueBox(Ledger()), isStopped: isStopped)
                        #expect(await events.next() == .disconnected)
                        #expect(await events.next() == .subscribed(channel: "c"))
                        try await client.waitUntilReady(timeout: .seconds(60))
                        isStopped.withLockedValue { $0 = true }
                        await load
                        await dead.resume()
                    }
                }
            }
        }

        @Test func scriptsLeasesAndKeylessCommands() async throws {
            try await within(.seconds(240)) {
                try await withRedisCluster { cluster in
                    try await withClient(cluster.url, patient) { client in
                        #expect(try await client.send(RedisCommand("TIME")).array?.count == 2)
                        #expect(try await client.send(RedisCommand("PING")) == .simpleString("PONG"))
                        #expect(
                            try await client.send(RedisCommand("INFO")).string?.contains("cluster_enabled:1") == true)
                        let script = RedisScript(name: "set", source: "return redis.call('SET', KEYS[1], ARGV[1])")
                        // Three nodes, none of which knows the script.
                        for key in ["foo", "bar", "hello"] {
                            for _ in 0..<2 { _ = try await client.evaluate(script, keys: [key], arguments: ["x"]) }
                            #expect(try await client.send(RedisCommand("GET", key), key: key).string == "x")
                        }
                        #expect(
                            client.commandCounts["EVAL"]
                                == Set(["foo", "bar", "hello"].map { HashSlot.of($0) / 5462 }).count)

                        // A slot moves while the client does not look: a lease finds the key all the same.
                        let slot = HashSlot.of("foo")
                        let owner = try await cluster.owner(ofSlot: slot)
                        let target = try #require(cluster.servers.prefix(3).first { $0 !== owner })
                        try await cluster.beginMigration(ofSlot: slot, to: target)
                        try await cluster.moveKeys(ofSlot: slot, to: target)
                        try await client.withConnection(key: "foo") { lease in
                            let value = try await lease.send(RedisCommand("GET", "foo")).string
                            #expect(value == "x", "ASK")
                        }
                        try await cluster.finishMigration(ofSlot: slot, to: target)
                        try await client.withConnection(key: "foo") { lease in
                            let reply = try await lease.send(RedisCommand("SET", "foo", "y"))
                            #expect(reply == .simpleString("OK"), "MOVED")
                            let replicas = try await lease.send(RedisCommand("WAIT", 1, 10_000), timeout: .seconds(15))
                                .int
                            #expect(replicas == 1)
                        }
                        #expect(try await target.ask("get", "foo") == "y")
                    }
                }
            }
        }
    }
}
