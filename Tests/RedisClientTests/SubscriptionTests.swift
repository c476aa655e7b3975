import PerennialServers
import Testing

@testable import RedisClient

@Suite struct SubscriptionTests {
    @Test func messagesArriveInOrder() async throws {
        try await within(.seconds(120)) {
            try await withRedisServer { server in
                try await withClient(server.url) { client in
                    var events = client.subscribe(to: ["numbers"]).makeAsyncIterator()
                    #expect(await events.next() == .subscribed(channel: "numbers"))
                    let count = 2000
                    _ = try await client.pipeline((0..<count).map { RedisCommand("PUBLISH", "numbers", $0) })
                    for number in 0..<count {
                        let event = await events.next()
                        guard event == .message(channel: "numbers", payload: Array(String(number).utf8)) else {
                            Issue.record("expected \(number), got \(event as Any)")
                            return
                        }
                    }
                }
            }
        }
    }

    @Test func subscribersOfOneChannelShareItAndLeaveAlone() async throws {
        try await within(.seconds(120)) {
            try await withRedisServer { server in
                try await withClient(server.url) { client in
                    let first = client.subscribe(to: ["c", "c"])
                    var firstEvents = first.makeAsyncIterator()
                    #expect(await firstEvents.next() == .subscribed(channel: "c"))
                    var second: RedisSubscription? = client.subscribe(to: ["c"])
                    var secondEvents = second?.makeAsyncIterator()
                    #expect(await secondEvents?.next() == .subscribed(channel: "c"))
                    #expect(client.commandCounts["SUBSCRIBE"] == 1)

                    first.cancel()
                    #expect(await firstEvents.next() == nil)
                    _ = try await client.send(RedisCommand("PUBLISH", "c", "x"))
                    #expect(await secondEvents?.next() == .message(channel: "c", payload: [0x78]))

                    second = nil
                    secondEvents = nil
                    try await eventually("the last one out unsubscribes") {
                        try await client.send(RedisCommand("PUBSUB", "NUMSUB", "c")).array?.last == .integer(0)
                    }
                    var third = client.subscribe(to: ["c"]).makeAsyncIterator()
                    #expect(await third.next() == .subscribed(channel: "c"))
                }
            }
        }
    }

    @Test func aCancelledReaderStops() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                let subscription = client.subscribe(to: ["c"])
                let reader = Task { () -> Int in
                    var count = 0
                    for await _ in subscription { count += 1 }
                    return count
                }
                try await eventually("confirmed") { client.subscriptionState == .ready }
                reader.cancel()
                _ = await reader.value
            }
        }
    }

    @Test func nothingIsOpenedWithoutASubscriber() async throws {
        try await withRedisServer { server in
            try await withClient(server.url) { client in
                _ = try await client.send(RedisCommand("PING"))
                #expect(client.subscriptionState == .idle)
                let info = try await client.send(RedisCommand("INFO", "clients")).string ?? ""
                #expect(info.contains("connected_clients:1\r\n"))
            }
        }
    }

    @Test func anOverflowIsTold() async {
        let buffer = SubscriptionBuffer(id: 0, channels: ["c"], maxEvents: 5, maxBytes: 1000)
        buffer.subscribed("c")
        for number in 0..<20 as Range<UInt8> { buffer.message([number], on: "c") }
        buffer.finish()
        var events: [RedisSubscriptionEvent] = []
        while let event = await buffer.next() { events.append(event) }
        #expect(events.prefix(2) == [.disconnected, .subscribed(channel: "c")])
        // What follows the renewed confirmation is without a gap.
        let payloads = events.dropFirst(2).compactMap { event -> UInt8? in
            if case .message(_, let payload) = event { return payload.first }
            return nil
        }
        #expect(payloads == Array((20 - UInt8(payloads.count))..<20))
    }

    @Test func anOverflowOfBytesIsToldToo() async {
        let buffer = SubscriptionBuffer(id: 0, channels: ["c"], maxEvents: 100, maxBytes: 10)
        buffer.subscribed("c")
        buffer.message([UInt8](repeating: 0, count: 11), on: "c")
        #expect(await buffer.next() == .disconnected)
        #expect(await buffer.next() == .subscribed(channel: "c"))
    }

    @Test func withoutConfirmationThereIsNoDisconnect() async {
        let buffer = SubscriptionBuffer(id: 0, channels: ["c"], maxEvents: 5, maxBytes: 1000)
        buffer.disconnected()
        buffer.message([1], on: "c")
        buffer.finish()
        #expect(await buffer.next() == nil)
    }
}
