import NIOConcurrencyHelpers
import PerennialServers
import Testing

@testable import RedisClient

/// Against a real redis-server on a Unix socket.
@Suite struct CommandTests {
    @Test func commandsAndTheirReplies() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                #expect(try await client.send(RedisCommand("SET", "k", "v", "PX", 60_000)) == .simpleString("OK"))
                #expect(try await client.send(RedisCommand("GET", "k"), key: "k").string == "v")
                #expect(try await client.send(RedisCommand("GET", "none")) == .null)
                #expect(try await client.send(RedisCommand("INCRBY", "n", 41)).int == 41)
                #expect(try await client.send(RedisCommand("GET", "n")).int == 41)
                let bytes = (0...255).map { UInt8($0) } + [13, 10]
                _ = try await client.send(RedisCommand("SET", "raw", bytes))
                #expect(try await client.send(RedisCommand("GET", "raw")) == .bulkString(bytes))
                #expect(try await client.send(RedisCommand("MGET", "k", "none")).array == [.bulkString([0x76]), .null])
                let large = [UInt8](repeating: 7, count: 3 << 20)
                _ = try await client.send(RedisCommand("SET", "large", large))
                #expect(try await client.send(RedisCommand("GET", "large")) == .bulkString(large))
                #expect(client.commandCounts["GET"] == 5)
                #expect(client.commandCounts["HELLO"] == nil)
            }
        }
    }

    @Test func serverErrorsAreTold() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                _ = try await client.send(RedisCommand("SET", "k", "v"))
                let error = await failure { () throws(RedisError) in
                    try await client.send(RedisCommand("LPUSH", "k", "x"))
                }
                #expect(error?.code == .server)
                #expect(error?.serverError?.code == "WRONGTYPE")
                #expect(try await client.send(RedisCommand("GET", "k")).string == "v")
            }
        }
    }

    @Test func pipelinesKeepOrderAndErrorsAsValues() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let replies = try await client.pipeline([
                    RedisCommand("SET", "a", 1), RedisCommand("LPUSH", "a", 2), RedisCommand("INCR", "a"),
                    RedisCommand("MULTI"), RedisCommand("INCR", "a"), RedisCommand("EXEC"),
                ])
                #expect(replies.count == 6)
                #expect(replies[1].serverError?.code == "WRONGTYPE")
                #expect(replies[2] == .integer(2))
                #expect(replies[5] == .array([.integer(3)]))
                #expect(try await client.pipeline([]) == [])
            }
        }
    }

    @Test func aThousandTasksEachGetTheirOwnReply() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let wrong = await withTaskGroup(of: Int.self) { group in
                    for task in 0..<1000 {
                        group.addTask {
                            var wrong = 0
                            for round in 0..<10 {
                                let text = "\(task).\(round)"
                                let reply = try? await client.send(RedisCommand("ECHO", text))
                                if reply?.string != text { wrong += 1 }
                            }
                            return wrong
                        }
                    }
                    return await group.reduce(0, +)
                }
                #expect(wrong == 0)
                #expect(client.commandCounts["ECHO"] == 10_000)
            }
        }
    }

    @Test func scriptsByDigestAndInFullWhereUnknown() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let script = RedisScript(
                    name: "put", source: "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], ARGV[1], ARGV[2]}")
                for _ in 0..<3 {
                    let reply = try await client.evaluate(script, keys: ["{a}k"], arguments: [7, [0xFF] as [UInt8]])
                    #expect(
                        reply == .array([.bulkString(Array("{a}k".utf8)), .bulkString([0x37]), .bulkString([0xFF])]))
                }
                #expect(client.commandCounts["EVALSHA"] == 3)
                #expect(client.commandCounts["EVAL"] == 1)
                _ = try await client.send(RedisCommand("SCRIPT", "FLUSH"))
                _ = try await client.evaluate(script, keys: ["{a}k"], arguments: [8, "x"])
                #expect(client.commandCounts["EVAL"] == 2)

                let failing = RedisScript(name: "fail", source: "return redis.error_reply('MINE gone')")
                let error = await failure { () throws(RedisError) in
                    try await client.evaluate(failing, keys: [], arguments: [])
                }
                #expect(error?.serverError == RedisServerError(code: "MINE", message: "gone"))
            }
        }
    }

    @Test(arguments: ["SUBSCRIBE", "blpop", "WAIT", "MULTI", "SELECT", "HELLO", "MONITOR", "QUIT"])
    func theSharedConnectionIsProtected(name: String) async throws {
        let configuration = try RedisConfiguration(url: "redis://127.0.0.1:1")
        let client = RedisClient(configuration: configuration, logger: quiet)
        let error = await failure { () throws(RedisError) in try await client.send(RedisCommand(name, "x", 1)) }
        #expect(error?.code == .misuse)
        #expect(error?.mayHaveExecuted == false)
    }

    @Test func aHalfTransactionIsNotSent() async throws {
        let configuration = try RedisConfiguration(url: "redis://127.0.0.1:1")
        let client = RedisClient(configuration: configuration, logger: quiet)
        let error = await failure { () throws(RedisError) in try await client.pipeline([RedisCommand("MULTI")]) }
        #expect(error?.code == .misuse)
        let silenced = await failure { () throws(RedisError) in
            try await client.send(RedisCommand("CLIENT", "reply", "OFF"))
        }
        #expect(silenced?.code == .misuse)
    }

    @Test func leasedConnectionsBlockNobody() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let popped = try await client.withConnection { lease in
                    async let popped = lease.send(RedisCommand("BLPOP", "list", 0), timeout: .seconds(120))
                    try await eventually("BLPOP waits") {
                        try await client.send(RedisCommand("INFO", "clients")).string?.contains("blocked_clients:1")
                            == true
                    }
                    _ = try await client.send(RedisCommand("RPUSH", "list", "x"))
                    return try await popped
                }
                #expect(popped.array?.last?.string == "x")
                let id = try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int }
                let again = try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int }
                #expect(id == again, "a clean connection is reused")
                await #expect(throws: TestFailure.self) {
                    try await client.withConnection { _ in throw TestFailure("body") }
                }
                let other = try await client.withConnection { try await $0.send(RedisCommand("CLIENT", "ID")).int }
                #expect(other != id, "one whose body failed is not")
            }
        }
    }

    @Test func cancellationEndsTheCallAtOnceAndLeavesTheOrderIntact() async throws {
        try await withRedisServer { server in
            try await withClient(server.url, { $0.commandTimeout = .seconds(30) }) { client in
                try await client.waitUntilReady(timeout: .seconds(60))
                await server.pause()
                let sent = client.commandCounts["ECHO", default: 0]
                let task = Task {
                    await failure { () throws(RedisError) in try await client.send(RedisCommand("ECHO", "1")) }
                }
                try await eventually("sent") { client.commandCounts["ECHO", default: 0] == sent + 1 }
                let next = Task { try await client.send(RedisCommand("ECHO", "2")) }
                try await eventually("sent") { client.commandCounts["ECHO", default: 0] == sent + 2 }
                task.cancel()
                let error = await task.value
                #expect(error?.code == .cancelled)
                #expect(error?.mayHaveExecuted == true)
                await server.resume()
                #expect(try await next.value.string == "2")

                let never = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    return await failure { () throws(RedisError) in try await client.send(RedisCommand("ECHO", "3")) }
                }
                let unsent = await never.value
                #expect(unsent?.code == .cancelled)
                #expect(unsent?.mayHaveExecuted == false)
            }
        }
    }
}
