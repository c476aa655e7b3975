import NIOConcurrencyHelpers
import Testing

@testable import RedisClient

/// What a Cluster says rarely, said by fakes.
@Suite struct ClusterRedirectTests {
    private typealias Fake = FakeServer

    /// Two nodes; the first owns all slots as far as the map says, unless `answers` says something else.
    private func run(
        timeout: Duration = .seconds(10),
        _ first: @escaping @Sendable (_ command: [String], _ other: Int) -> String?,
        _ second: @escaping @Sendable (_ command: [String], _ other: Int) -> String?,
        _ body: @escaping @Sendable (RedisClient, FakeServer, FakeServer) async throws -> Void
    ) async throws {
        try await within(.seconds(120)) {
            try await withFakeServers(2) { servers in
                let (a, b) = (servers[0], servers[1])
                let map = Fake.slots([(0...16383, a.port)])
                a.say { $0[0] == "CLUSTER" ? map : $0[0] == "PING" ? nil : first($0, b.port) }
                b.say { $0[0] == "CLUSTER" ? map : $0[0] == "PING" ? nil : second($0, a.port) }
                try await withClient("redis+cluster://127.0.0.1:\(a.port)", { $0.commandTimeout = timeout }) { client in
                    try await client.waitUntilReady(timeout: .seconds(60))
                    try await body(client, a, b)
                }
            }
        }
    }

    @Test func movedIsFollowedAndRemembered() async throws {
        try await run({ _, other in "-MOVED 12182 127.0.0.1:\(other)\r\n" }, { _, _ in "+here\r\n" }) { client, a, b in
            let reply = try await client.send(RedisCommand("GET", "foo"), key: "foo")
            #expect(reply == .simpleString("here"))
            #expect(a.count("GET") == 1 && b.count("GET") == 1)
            try await eventually("the map is read again") { a.count("CLUSTER") + b.count("CLUSTER") >= 2 }
        }
    }

    @Test func askIsOneAskingAndOneCommand() async throws {
        try await run({ _, other in "-ASK 12182 127.0.0.1:\(other)\r\n" }, { _, _ in "+here\r\n" }) { client, a, b in
            for _ in 0..<2 {
                let reply = try await client.send(RedisCommand("GET", "foo"), key: "foo")
                #expect(reply == .simpleString("here"))
            }
            // Not remembered: each time the owner is asked first.
            #expect(a.count("GET") == 2)
            #expect(
                b.commands.filter { $0[0] != "CLUSTER" } == [["ASKING"], ["GET", "foo"], ["ASKING"], ["GET", "foo"]])
        }
    }

    @Test(arguments: ["TRYAGAIN Multiple keys request during rehashing of slot", "CLUSTERDOWN The cluster is down"])
    func aPassingRefusalIsWaitedOut(line: String) async throws {
        let left = NIOLockedValueBox(5)
        try await run(
            { _, _ in
                left.withLockedValue { left in
                    left -= 1
                    return left >= 0 ? "-\(line)\r\n" : "+here\r\n"
                }
            }, { _, _ in nil }
        ) { client, a, _ in
            let reply = try await client.send(RedisCommand("GET", "foo"), key: "foo")
            #expect(reply == .simpleString("here"))
            #expect(a.count("GET") == 6)
        }
    }

    @Test(arguments: ["TRYAGAIN", "CLUSTERDOWN", "MOVED 12182 127.0.0.1:PORT"])
    func aLastingRefusalEndsWithTheCommandsTime(line: String) async throws {
        // Each sends the client to the other, for ever.
        let answer: @Sendable ([String], Int) -> String? = { _, other in
            "-\(line.replacing("PORT", with: String(other)))\r\n"
        }
        try await run(timeout: .seconds(2), answer, answer) { client, a, b in
            let started = ContinuousClock.now
            let error = await failure { () throws(RedisError) in
                try await client.send(RedisCommand("SET", "foo", 1), key: "foo")
            }
            #expect(error?.code == .server || error?.code == .timeout)
            #expect(error?.serverError?.code == line.split(separator: " ").first.map(String.init))
            #expect(error?.mayHaveExecuted == false, "\(error as Any)")
            #expect(ContinuousClock.now - started < .seconds(20))
            #expect(a.count("SET") + b.count("SET") < 120, "there is a back-off")
        }
    }

    /// The one thing that must never happen: a command sent twice because its reply was lost.
    @Test func aLostReplyIsUnknownAndNotRepeated() async throws {
        try await run({ _, _ in Fake.hangUp }, { _, _ in "+here\r\n" }) { client, a, b in
            let error = await failure { () throws(RedisError) in
                try await client.send(RedisCommand("INCR", "foo"), key: "foo")
            }
            #expect(error?.code == .unknownOutcome)
            #expect(error?.mayHaveExecuted == true)
            #expect(a.count("INCR") + b.count("INCR") == 1)
        }
    }

    @Test func onlyTheRedirectedPartOfAPipelineIsSentAgain() async throws {
        try await run(
            { command, other in
                command[0] == "GET" ? "-ASK 12182 127.0.0.1:\(other)\r\n" : "+\(command[0])\r\n"
            }, { command, _ in command[0] == "ASKING" ? nil : "+there\r\n" }
        ) { client, a, b in
            let replies = try await client.pipeline(
                [RedisCommand("SET", "foo", 1), RedisCommand("GET", "foo"), RedisCommand("INCR", "foo")], key: "foo")
            #expect(replies == [.simpleString("SET"), .simpleString("there"), .simpleString("INCR")])
            #expect(a.count("SET") == 1 && a.count("INCR") == 1 && b.count("SET") == 0)
        }
    }

    @Test func aTransactionMovesAsAWhole() async throws {
        try await run(
            { command, other in
                switch command[0] {
                case "MULTI": nil
                case "EXEC": "-EXECABORT Transaction discarded\r\n"
                default: "-MOVED 12182 127.0.0.1:\(other)\r\n"
                }
            },
            { command, _ in
                switch command[0] {
                case "MULTI": nil
                case "EXEC": "*1\r\n+done\r\n"
                default: "+QUEUED\r\n"
                }
            }
        ) { client, _, b in
            let replies = try await client.pipeline(
                [RedisCommand("MULTI"), RedisCommand("SET", "foo", 1), RedisCommand("EXEC")], key: "foo")
            #expect(replies.last == .array([.simpleString("done")]))
            #expect(b.commands.map { $0[0] }.filter { $0 != "CLUSTER" } == ["MULTI", "SET", "EXEC"])
        }
    }

    @Test func aScriptIsSentInFullToANodeThatDoesNotKnowIt() async throws {
        try await run(
            { command, other in
                command[0] == "EVALSHA" ? "-ASK 12182 127.0.0.1:\(other)\r\n" : "+wrong\r\n"
            },
            { command, _ in
                switch command[0] {
                case "ASKING": nil
                case "EVALSHA": "-NOSCRIPT No matching script.\r\n"
                default: "+\(command[0])\r\n"
                }
            }
        ) { client, _, b in
            let reply = try await client.evaluate(
                RedisScript(name: "one", source: "return 1"), keys: ["foo"], arguments: [])
            #expect(reply == .simpleString("EVAL"))
            #expect(
                b.commands.map { $0[0] }.filter { $0 != "CLUSTER" } == ["ASKING", "EVALSHA", "ASKING", "EVAL"])
        }
    }

    @Test func aLeaseFollowsWithItsFirstCommandOnly() async throws {
        let moves = NIOLockedValueBox(true)
        try await run(
            { _, other in "-MOVED 12182 127.0.0.1:\(other)\r\n" },
            { _, other in
                moves.withLockedValue { $0 } ? "+here\r\n" : "-MOVED 12182 127.0.0.1:\(other)\r\n"
            }
        ) { client, a, b in
            try await client.withConnection(key: "foo") { lease in
                let first = try await lease.send(RedisCommand("SET", "foo", 1))
                #expect(first == .simpleString("here"))
                moves.withLockedValue { $0 = false }
                let error = await failure { () throws(RedisError) in try await lease.send(RedisCommand("SET", "foo", 2))
                }
                #expect(error?.serverError?.code == "MOVED")
                #expect(error?.mayHaveExecuted == false)
                moves.withLockedValue { $0 = true }
                let last = try await lease.send(RedisCommand("WAIT", 0, 0))
                #expect(last == .simpleString("here"))
            }
            #expect(a.count("SET") == 1 && b.count("SET") == 2 && b.count("WAIT") == 1)
        }
    }

    @Test func aSingleServerIsToldApart() async throws {
        try await withFakeServers(1) { servers in
            servers[0].say { $0[0] == "CLUSTER" ? "-ERR This instance has cluster support disabled\r\n" : nil }
            try await withClient("redis+cluster://127.0.0.1:\(servers[0].port)") { client in
                let error = await failure { () throws(RedisError) in
                    try await client.send(RedisCommand("GET", "a"), key: "a")
                }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("starts with redis://") == true, "\(error as Any)")
            }
        }
    }
}
