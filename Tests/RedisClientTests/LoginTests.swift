import PerennialServers
import Testing

@testable import RedisClient

/// Passwords, ACL users, databases, and what is said when they are wrong.
@Suite struct LoginTests {
    private func refusal(_ url: String) async throws -> RedisError? {
        try await withClient(url) { client in
            await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
        }
    }

    @Test func password() async throws {
        try await withRedisServer(.init(.tcp, password: "right")) { server in
            try await withClient(server.url) { client in
                let reply = try await client.send(RedisCommand("SET", "a", 1))
                #expect(reply == .simpleString("OK"))
            }
            let wrong = try await refusal("redis://:wr0ng@127.0.0.1:\(server.port ?? 0)")
            #expect(wrong?.code == .unavailable)
            #expect(wrong?.mayHaveExecuted == false)
            #expect(wrong?.message.contains("Check user and password") == true, "\(wrong as Any)")
            #expect(wrong?.description.contains("wr0ng") == false)
            let none = try await refusal("redis://127.0.0.1:\(server.port ?? 0)")
            #expect(none?.message.contains("wants a login") == true, "\(none as Any)")
        }
    }

    @Test func aclUser() async throws {
        let options = RedisServer.Options(
            .unixSocket,
            directives: [
                "user default off", "user alice on >s3cret ~* &* +@all", "user bob on >b ~* resetchannels +@all",
            ])
        try await withRedisServer(options) { server in
            let path = server.socketPath ?? ""
            try await withClient("unix://alice:s3cret@\(path)") { client in
                let reply = try await client.send(RedisCommand("ACL", "WHOAMI"))
                #expect(reply.string == "alice")
            }
            let wrong = try await refusal("unix://alice:n0pe@\(path)")
            #expect(wrong?.serverError?.code == "WRONGPASS")
            #expect(wrong?.description.contains("n0pe") == false)

            try await withClient("unix://bob:b@\(path)") { client in
                let subscription = client.subscribe(to: ["c"])
                try await eventually("the refusal is told") {
                    if case .away(let reason) = client.subscriptionState { return reason.contains("channel rights") }
                    return false
                }
                // The command connection is not affected.
                try await client.waitUntilReady(timeout: .seconds(60))
                subscription.cancel()
            }
        }
    }

    @Test func databaseAndName() async throws {
        try await withRedisServer { server in
            let path = server.socketPath ?? ""
            try await withClient("unix://\(path)?db=5", { $0.clientName = "perennial-test" }) { client in
                _ = try await client.send(RedisCommand("SET", "where", "five"))
                #expect(try await client.send(RedisCommand("CLIENT", "GETNAME")).string == "perennial-test")
            }
            try await withClient("unix://\(path)") { client in
                let reply = try await client.send(RedisCommand("GET", "where"))
                #expect(reply == .null)
            }
            let refused = try await refusal("unix://\(path)?db=99")
            #expect(refused?.message.contains("database 99") == true, "\(refused as Any)")
        }
    }

    @Test func stateSaysWhyItIsAway() async throws {
        try await withClient("unix:///nonexistent/redis.sock") { client in
            let error = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
            #expect(error?.code == .unavailable)
            try await eventually("away") {
                if case .away(let reason) = client.connectionState { return reason.contains("No such file") }
                return false
            }
            let notReady = await failure { () throws(RedisError) in
                try await client.waitUntilReady(timeout: .milliseconds(50))
            }
            #expect(notReady?.message.contains("No such file") == true, "\(notReady as Any)")
        }
    }

    @Test func withoutRunNothingHangs() async throws {
        let client = RedisClient(configuration: try RedisConfiguration(url: "redis://127.0.0.1:1"), logger: quiet)
        #expect(client.connectionState == .idle)
        let error = await failure { () throws(RedisError) in
            try await client.send(RedisCommand("GET", "a"), timeout: .milliseconds(50))
        }
        #expect(error?.code == .unavailable)
    }
}
