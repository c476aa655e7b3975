import NIOCore
import RefreshCore
import Testing

@testable import RedisClient

@Suite struct RESPTests {
    private func decode(_ chunks: [[UInt8]], limits: RESPLimits = RESPLimits()) throws -> [RESPValue] {
        let decoder = try RESPDecoder(limits: limits)
        var values: [RESPValue] = []
        for chunk in chunks {
            try chunk.withUnsafeBytes { try decoder.feed($0) }
            while let value = try decoder.next() { values.append(value) }
        }
        return values
    }

    private func decode(_ text: String, limits: RESPLimits = RESPLimits()) throws -> [RESPValue] {
        try decode([Array(text.utf8)], limits: limits)
    }

    @Test(arguments: [
        ("+OK\r\n", RESPValue.simpleString("OK")),
        ("+\r\n", .simpleString("")),
        ("-ERR no such thing\r\n", .error(RedisServerError(code: "ERR", message: "no such thing"))),
        ("-NOSCRIPT\r\n", .error(RedisServerError(code: "NOSCRIPT", message: ""))),
        ("-lower case text\r\n", .error(RedisServerError(code: "ERR", message: "lower case text"))),
        (":-42\r\n", .integer(-42)),
        (":9223372036854775807\r\n", .integer(.max)),
        ("$0\r\n\r\n", .bulkString([])),
        ("$4\r\na\r\nb\r\n", .bulkString(Array("a\r\nb".utf8))),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("*0\r\n", .array([])),
        ("*2\r\n*1\r\n:1\r\n$-1\r\n", .array([.array([.integer(1)]), .null])),
    ]) func decodes(text: String, expected: RESPValue) throws {
        #expect(try decode(text) == [expected])
        #expect(try decode(text.utf8.map { [$0] }) == [expected], "one byte at a time")
    }

    @Test func incompleteRepliesYieldNothing() throws {
        for text in ["", "$", "$5", "$5\r\nabc", "*2\r\n:1\r\n", "+OK\r", ":12"] {
            #expect(try decode(text).isEmpty, "\(text)")
        }
    }

    @Test(arguments: [
        "hello\r\n", "\u{0}", "$-5\r\n", "*-5\r\n", "$abc\r\n", "*\r\n", ":12x\r\n", ":\r\n", "$1\r\nabXY",
        "$99999999999999999999999\r\n", "*2147483648\r\n", "$9223372036854775807\r\n", "$2147483647\r\n",
        "*2147483647\r\n", "%1\r\n", "~1\r\n", ">1\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(1\r\n", "=5\r\ntxt:a\r\n",
        "$111111111111111111111111111111111", "*111111111111111111111111111111111",
    ]) func refuses(text: String) {
        let error = #expect(throws: RedisError.self) { try decode(text) }
        #expect(error?.code == .protocolViolation)
        #expect(throws: RedisError.self, "one byte at a time") { try decode(text.utf8.map { [$0] }) }
    }

    @Test func staysFailed() throws {
        let decoder = try RESPDecoder(limits: RESPLimits())
        #expect(throws: RedisError.self) {
            try decoder.feed(ByteBuffer(string: "?"))
            _ = try decoder.next()
        }
        #expect(throws: RedisError.self) { try decoder.feed(ByteBuffer(string: "+OK\r\n")) }
        #expect(throws: RedisError.self) { try decoder.next() }
    }

    @Test func limitsHold() throws {
        let limits = RESPLimits(
            maxBulkBytes: 10, maxLineBytes: 20, maxArrayElements: 3, maxDepth: 2, maxReplyBytes: 2048)
        #expect(try decode("$10\r\n0123456789\r\n", limits: limits).count == 1)
        #expect(try decode("*3\r\n:1\r\n:2\r\n:3\r\n", limits: limits).count == 1)
        #expect(try decode("*1\r\n*1\r\n:1\r\n", limits: limits).count == 1)
        let refused = [
            "$11\r\n", "*4\r\n", "*1\r\n*1\r\n*1\r\n", "+" + String(repeating: "x", count: 30),
            "*1\r\n+" + String(repeating: "x", count: 21) + "\r\n",
        ]
        for text in refused {
            let error = #expect(throws: RedisError.self) { try decode(text, limits: limits) }
            #expect(error?.message.contains("limit") == true, "\(text)")
        }
        // Small parts, large whole: 2 × 3 strings of 10 bytes and their objects pass 512 bytes, not 200.
        let inner = "*3\r\n" + String(repeating: "$10\r\n0123456789\r\n", count: 3)
        var tight = RESPLimits()
        tight.maxReplyBytes = 1024
        #expect(throws: RedisError.self) {
            try decode("*9\r\n" + String(repeating: inner, count: 9), limits: tight)
        }
        #expect(try decode(String(repeating: inner, count: 50), limits: tight).count == 50)
    }

    @Test func depthBeyondHiredisIsRefused() {
        #expect(throws: RedisError.self) { try decode(String(repeating: "*1\r\n", count: 100_000)) }
        #expect(throws: Never.self) { try decode(String(repeating: "*1\r\n", count: 7) + ":1\r\n") }
    }

    @Test func encodesAsRedisReadsIt() throws {
        var buffer = ByteBuffer()
        try RedisCommand("set", "key", [0, 13, 10, 255] as [UInt8], "PX", 1500, "").encode(into: &buffer)
        let expected =
            Array("*6\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\n".utf8) + [0, 13, 10, 255]
            + Array("\r\n$2\r\nPX\r\n$4\r\n1500\r\n$0\r\n\r\n".utf8)
        #expect(Array(buffer.readableBytesView) == expected)
    }

    @Test func commandsDoNotShowTheirArguments() {
        #expect("\(RedisCommand("AUTH", "hunter2"))" == "AUTH (1 arguments)")
    }

    @Test(arguments: [1, 20_260, 99_991] as [UInt64]) func roundTripInAnyChunks(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let values = (0..<200).map { _ in Self.randomValue(depth: 0, using: &generator) }
        let bytes = values.flatMap(Self.wire)
        var chunks: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...97, using: &generator)
            chunks.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(try decode(chunks) == values, "seed \(seed)")
        #expect(try decode(bytes.map { [$0] }) == values, "one byte at a time, seed \(seed)")
    }

    /// Garbage of any kind either waits for more or fails: it never crashes.
    @Test(arguments: [7, 42] as [UInt64]) func survivesMutations(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        for _ in 0..<2000 {
            var bytes = (0..<3).flatMap { _ in Self.wire(Self.randomValue(depth: 0, using: &generator)) }
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: bytes.indices, using: &generator)
                bytes[index] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? decode([bytes], limits: RESPLimits(maxBulkBytes: 1000))
        }
    }

    private static func randomValue(depth: Int, using generator: inout SplitMix64) -> RESPValue {
        switch Int.random(in: 0..<(depth < 5 ? 7 : 5), using: &generator) {
        case 0: return .simpleString("s\(UInt16.random(in: 0...999, using: &generator))")
        case 1: return .error(RedisServerError(code: "ERR", message: "m\(UInt8.random(in: 0...99, using: &generator))"))
        case 2: return .integer(Int64.random(in: .min ... .max, using: &generator))
        case 3:
            let count = Int.random(in: 0...40, using: &generator)
            return .bulkString((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case 4: return .null
        default:
            let count = Int.random(in: 0...4, using: &generator)
            return .array((0..<count).map { _ in randomValue(depth: depth + 1, using: &generator) })
        }
    }

    private static func wire(_ value: RESPValue) -> [UInt8] {
        switch value {
        case .simpleString(let text): Array("+\(text)\r\n".utf8)
        case .error(let error): Array("-\(error)\r\n".utf8)
        case .integer(let value): Array(":\(value)\r\n".utf8)
        case .bulkString(let bytes): Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10]
        case .array(let elements): Array("*\(elements.count)\r\n".utf8) + elements.flatMap(wire)
        case .null: Array("$-1\r\n".utf8)
        }
    }
}
