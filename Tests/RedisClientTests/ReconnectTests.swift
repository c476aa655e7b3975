import NIOPosix
import PerennialServers
import ServiceLifecycle
import Testing

@testable import RedisClient

/// A server that stops answering, dies and comes back.
@Suite struct ReconnectTests {
    private func impatient(
        _ configuration: inout RedisConfiguration, timeout: Duration = .seconds(60),
        pingInterval: Duration = .seconds(30)
    ) {
        configuration.commandTimeout = timeout
        configuration.pingInterval = pingInterval
        configuration.reconnectBackoff = ReconnectBackoff(base: .milliseconds(5), cap: .milliseconds(50))
    }

    @Test func aStoppedServerTimesOutAndRecovers() async throws {
        try await withRedisServer(.init(.tcp)) { server in
            try await withClient(server.url, { impatient(&$0, timeout: .seconds(2)) }) { client in
                try await eventually("written, on whatever connection") {
                    (try? await client.send(RedisCommand("SET", "a", 1))) != nil
                }
                await server.pause()
                let slow = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
                #expect(slow?.code == .timeout)
                #expect(slow?.mayHaveExecuted == true)
                try await eventually("away") {
                    if case .away = client.connectionState { return true }
                    return false
                }
                let fast = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
                #expect(fast?.code == .unavailable)
                #expect(fast?.mayHaveExecuted == false)
                await server.resume()
                try await eventually("read again") { (try? await client.send(RedisCommand("GET", "a")))?.int == 1 }
            }
        }
    }

    @Test func aShortDeadlineDoesNotCloseTheConnection() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let id = try await client.send(RedisCommand("CLIENT", "ID")).int
                await server.pause()
                let slow = await failure { () throws(RedisError) in
                    try await client.send(RedisCommand("ECHO", "late"), timeout: .milliseconds(50))
                }
                #expect(slow?.code == .timeout)
                await server.resume()
                #expect(try await client.send(RedisCommand("ECHO", "now")).string == "now")
                #expect(try await client.send(RedisCommand("CLIENT", "ID")).int == id)
            }
        }
    }

    @Test func aDeadServerFailsWhatIsInFlightAsUnknownAndComesBack() async throws {
        try await withRedisServer(.init(.tcp, directives: ["appendonly yes"])) { server in
            try await withClient(
                server.url,
                { impatient(&$0) }
            ) { client in
                try await client.waitUntilReady(timeout: .seconds(60))
                _ = try await client.send(RedisCommand("SET", "a", 1))
                await server.pause()
                let inFlight = Task {
                    await failure { () throws(RedisError) in try await client.send(RedisCommand("ECHO", "x")) }
                }
                try await eventually("sent") { client.commandCounts["ECHO"] == 1 }
                await server.kill()
                let lost = await inFlight.value
                #expect(lost?.code == .unknownOutcome)
                #expect(lost?.mayHaveExecuted == true)
                try await eventually("away") {
                    if case .away = client.connectionState { return true }
                    return false
                }
                let away = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
                #expect(away?.code == .unavailable)
                try await server.restart()
                try await client.waitUntilReady(timeout: .seconds(60))
                #expect(try await client.send(RedisCommand("GET", "a")).int == 1, "the append-only file survived")
            }
        }
    }

    @Test func subscriptionsComeBack() async throws {
        try await within(.seconds(120)) {
            try await withRedisServer(.init(.tcp)) { server in
                try await withClient(server.url, { impatient(&$0) }) { client in
                    var events = client.subscribe(to: ["b", "a"]).makeAsyncIterator()
                    #expect(await events.next() == .subscribed(channel: "a"))
                    #expect(await events.next() == .subscribed(channel: "b"))
                    try await client.waitUntilReady(timeout: .seconds(60))
                    _ = try await client.send(RedisCommand("PUBLISH", "a", "before"))
                    #expect(await events.next() == .message(channel: "a", payload: Array("before".utf8)))
                    try await server.restart()
                    #expect(await events.next() == .disconnected)
                    #expect(await events.next() == .subscribed(channel: "a"))
                    #expect(await events.next() == .subscribed(channel: "b"))
                    // The command connection may notice later than the subscriber's.
                    try await eventually("commands work again") {
                        (try? await client.send(RedisCommand("PUBLISH", "b", "after"))) != nil
                    }
                    #expect(await events.next() == .message(channel: "b", payload: Array("after".utf8)))
                }
            }
        }
    }

    @Test func idleConnectionsNoticeADeadPeer() async throws {
        try await within(.seconds(120)) {
            try await withRedisServer(.init(.tcp)) { server in
                try await withClient(
                    server.url,
                    { impatient(&$0, timeout: .seconds(5), pingInterval: .milliseconds(100)) }
                ) { client in
                    var events = client.subscribe(to: ["a"]).makeAsyncIterator()
                    #expect(await events.next() == .subscribed(channel: "a"))
                    try await eventually("several PINGs are answered") { client.commandCounts["PING", default: 0] > 6 }
                    #expect(client.connectionState == .ready)
                    #expect(client.subscriptionState == .ready)
                    await server.pause()
                    #expect(await events.next() == .disconnected, "nobody sent anything, yet it is noticed")
                    try await eventually("the command connection notices it too") { client.connectionState != .ready }
                    await server.resume()
                    #expect(await events.next() == .subscribed(channel: "a"))
                    try await client.waitUntilReady(timeout: .seconds(60))
                }
            }
        }
    }

    @Test func aServerThatStartsLaterIsFound() async throws {
        try await withRedisServer { server in
            await server.kill()
            try await withClient(server.url, { impatient(&$0) }) { client in
                let early = await failure { () throws(RedisError) in try await client.send(RedisCommand("PING")) }
                #expect(early?.code == .unavailable)
                try await server.restart()
                try await client.waitUntilReady(timeout: .seconds(60))
                #expect(try await client.send(RedisCommand("PING")).string == "PONG")
            }
        }
    }

    @Test func gracefulShutdownFinishesWhatIsInFlight() async throws {
        try await withRedisServer { server in
            var configuration = try RedisConfiguration(url: server.url)
            configuration.commandTimeout = .seconds(60)
            configuration.connectTimeout = .seconds(60)
            let client = RedisClient(configuration: configuration, logger: quiet)
            let group = ServiceGroup(
                configuration: .init(services: [client], gracefulShutdownSignals: [], logger: quiet))
            let running = Task { try await group.run() }
            var events = client.subscribe(to: ["a"]).makeAsyncIterator()
            #expect(await events.next() == .subscribed(channel: "a"))
            await server.pause()
            let inFlight = Task { try await client.send(RedisCommand("ECHO", "x")) }
            try await eventually("sent") { client.commandCounts["ECHO"] == 1 }
            await group.triggerGracefulShutdown()
            try await eventually("closed") { client.connectionState == .closed }
            await server.resume()
            #expect(try await inFlight.value.string == "x")
            try await running.value
            while let event = await events.next() { #expect(event == .disconnected) }
            let closed = await failure { () throws(RedisError) in try await client.send(RedisCommand("PING")) }
            #expect(closed?.code == .closed)
            await #expect(throws: RedisError.self) { try await client.run() }
        }
    }
}
