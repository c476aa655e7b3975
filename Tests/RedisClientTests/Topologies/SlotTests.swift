import PerennialServers
import Testing

@testable import RedisClient

@Suite struct SlotTests {
    @Test func knownSlots() {
        // The check value of the Cluster specification, and slots that redis-server answers.
        #expect(HashSlot.crc16("123456789".utf8) == 0x31C3)
        #expect(HashSlot.of("") == 0)
        #expect(HashSlot.of("foo") == 12182)
        #expect(HashSlot.of("bar") == 5061)
        #expect(HashSlot.of("{user1000}.following") == HashSlot.of("{user1000}.followers"))
        #expect(HashSlot.of("foo{}{bar}") == Int(HashSlot.crc16("foo{}{bar}".utf8)) % HashSlot.count)
        #expect(HashSlot.of("foo{{bar}}zap") == HashSlot.of("{bar"))
        #expect(HashSlot.of("foo{bar}{zap}") == HashSlot.of("bar"))
        #expect(HashSlot.of("foo{bar") == Int(HashSlot.crc16("foo{bar".utf8)) % HashSlot.count)
    }

    @Test func slotsAreThoseOfTheServer() async throws {
        var options = RedisServer.Options(.tcp)
        options.mode = .clusterNode
        try await withRedisServer(options) { server in
            try await withClient(server.url) { client in
                var keys = [
                    "", "{", "}", "{}", "{}a", "a{b}c", "a{b}{c}", "a}{b}", "ä{ö}ü", "perennial:{17}:account:x",
                ]
                keys += (0..<300).map { _ in
                    String((0..<Int.random(in: 1...12)).compactMap { _ in "ab{}:7é€".randomElement() })
                }
                let replies = try await client.pipeline(keys.map { RedisCommand("CLUSTER", "KEYSLOT", $0) })
                for (key, reply) in zip(keys, replies) {
                    #expect(reply.int == Int64(HashSlot.of(key)), "key \(key)")
                }
            }
        }
    }

    private func node(_ host: RESPValue, _ port: Int64) -> RESPValue {
        .array([host, .integer(port), .bulkString(Array("id".utf8)), .array([])])
    }

    @Test func aMapIsReadWithUnknownAddressesFilledIn() throws {
        let reply = RESPValue.array([
            .array([.integer(0), .integer(99), node(.bulkString(Array("10.0.0.1".utf8)), 1), node(.null, 2)]),
            .array([.integer(100), .integer(16383), node(.bulkString([]), 3)]),
        ])
        let map = try #require(SlotMap(reply: reply, from: "seed"))
        #expect(map.owner(ofSlot: 99) == RedisNodeID("10.0.0.1:1"))
        #expect(map.owner(ofSlot: 100) == RedisNodeID("seed:3"))
        #expect(map.replicas == [.tcp(host: "seed", port: 2)])
        #expect(map.orphanedSlots == 0)
        let half = try #require(SlotMap(reply: .array([reply.array![0]]), from: "seed"))
        #expect(half.owner(ofSlot: 100) == nil && half.orphanedSlots == 16284)
    }

    @Test(arguments: [
        RESPValue.null, .integer(1), .array([.integer(1)]), .array([.array([.integer(0), .integer(16384)])]),
        .array([.array([.integer(5), .integer(4), .array([.bulkString([0x61]), .integer(1)])])]),
        .array([.array([.integer(0), .integer(16384), .array([.bulkString([0x61]), .integer(1)])])]),
        .array([.array([.integer(0), .integer(1), .array([.bulkString([0x61]), .integer(0)])])]),
    ]) func nonsenseIsNoMap(reply: RESPValue) {
        #expect(SlotMap(reply: reply, from: "seed") == nil)
    }

    @Test func redirects() {
        #expect(SlotMap.redirect("3999 127.0.0.1:6381", from: "h")?.slot == 3999)
        #expect(SlotMap.redirect("3999 127.0.0.1:6381", from: "h")?.endpoint == .tcp(host: "127.0.0.1", port: 6381))
        #expect(SlotMap.redirect("1 ::1:6381", from: "h")?.endpoint == .tcp(host: "::1", port: 6381))
        #expect(SlotMap.redirect("1 :6381", from: "h")?.endpoint == .tcp(host: "h", port: 6381))
        for text in ["", "1", "x 127.0.0.1:1", "1 127.0.0.1", "1 h:0", "16384 h:1", "-1 h:1"] {
            #expect(SlotMap.redirect(text, from: "h") == nil, "\(text)")
        }
    }
}
