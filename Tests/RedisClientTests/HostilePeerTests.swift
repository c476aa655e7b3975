import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import RedisClient

/// A server that answers PING and what a Redis client says at first, and everything else as the test tells it.
final class HostilePeer: Sendable {
    enum Answer: Sendable {
        case bytes(String)
        case oneByteAtATime(String)
        /// Bytes, then the end of the connection.
        case cut(String)
        case silence
    }

    let port: Int
    let accepted: NIOLockedValueBox<Int>
    private let channel: any Channel

    /// - Parameters:
    ///   - greeting: Sent upon connect, unasked.
    ///   - answer: What to do with a command other than PING and CLIENT; told the number of the connection.
    static func run<Result>(
        greeting: String? = nil,
        answer: @escaping @Sendable (_ connection: Int) -> Answer,
        _ body: (HostilePeer) async throws -> Result
    ) async throws -> Result {
        let accepted = NIOLockedValueBox(0)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                let number = accepted.withLockedValue { count in
                    count += 1
                    return count
                }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Handler(number: number, greeting: greeting, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let peer = HostilePeer(channel: channel, accepted: accepted)
        do {
            let result = try await body(peer)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    private init(channel: any Channel, accepted: NIOLockedValueBox<Int>) {
        self.channel = channel
        self.accepted = accepted
        port = channel.localAddress?.port ?? 0
    }

    var url: String { "redis://127.0.0.1:\(port)" }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let number: Int
        private let greeting: String?
        private let answer: @Sendable (Int) -> Answer

        init(number: Int, greeting: String?, answer: @escaping @Sendable (Int) -> Answer) {
            self.number = number
            self.greeting = greeting
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            if let greeting { write(greeting, context) }
        }

        /// Commands are small and come whole here; several may come in one read.
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            for command in text.split(separator: "*").map(String.init) {
                if command.contains("PING") {
                    write("+PONG\r\n", context)
                    continue
                }
                switch answer(number) {
                case .bytes(let bytes): write(bytes, context)
                case .oneByteAtATime(let bytes):
                    for byte in bytes.utf8 {
                        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil)
                    }
                case .cut(let bytes):
                    write(bytes, context)
                    context.close(promise: nil)
                case .silence: break
                }
            }
        }

        private func write(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }
    }
}

@Suite struct HostilePeerTests {
    private func quickly(_ configuration: inout RedisConfiguration, _ timeout: Duration = .seconds(60)) {
        configuration.commandTimeout = timeout
        configuration.reconnectBackoff = ReconnectBackoff(base: .milliseconds(1), cap: .milliseconds(5))
    }

    /// The first connection misbehaves, the second is good: the call on the first fails, the client comes back.
    private func expectFailure(
        _ code: RedisError.Code, on answer: HostilePeer.Answer, mentions: String? = nil,
        timeout: Duration = .seconds(60),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await within(.seconds(120)) {
            try await HostilePeer.run(answer: { $0 == 1 ? answer : .bytes("+OK\r\n") }) { peer in
                try await withClient(peer.url, { quickly(&$0, timeout) }) { client in
                    try await client.waitUntilReady(timeout: .seconds(60))
                    let error = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a"))
                    }
                    #expect(error?.code == code, "\(error as Any)", sourceLocation: sourceLocation)
                    #expect(error?.mayHaveExecuted == true, sourceLocation: sourceLocation)
                    if let mentions {
                        #expect(
                            error?.message.contains(mentions) == true, "\(error as Any)", sourceLocation: sourceLocation
                        )
                    }
                    try await eventually("a second connection") { peer.accepted.withLockedValue { $0 } >= 2 }
                    // Where little time is given, a busy machine may need another connection still.
                    try await eventually("a good answer") {
                        (try? await client.send(RedisCommand("GET", "a"))) == .simpleString("OK")
                    }
                }
            }
        }
    }

    @Test(arguments: [
        "*2147483647\r\n", "$2147483647\r\n", "$-5\r\n", "*-5\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\u{0}\u{1}\u{2}",
        ">2\r\n", "$99999999999999999999\r\n",
    ]) func brokenReplies(bytes: String) async throws {
        try await expectFailure(.protocolViolation, on: .bytes(bytes))
    }

    @Test func deepNesting() async throws {
        try await expectFailure(.protocolViolation, on: .bytes(String(repeating: "*1\r\n", count: 50_000)))
    }

    @Test func hugeLengthsAreRefusedBeforeTheyAreBuffered() async throws {
        try await expectFailure(.protocolViolation, on: .bytes("$2147483647\r\nabc"), mentions: "limit")
        try await expectFailure(.protocolViolation, on: .bytes("*2147483647\r\n:1\r\n"), mentions: "limit")
    }

    @Test(arguments: ["", "$5\r\nab", "*3\r\n:1\r\n", "+O"]) func cutReplies(bytes: String) async throws {
        try await expectFailure(.unknownOutcome, on: .cut(bytes))
    }

    @Test func neverAnswering() async throws {
        try await expectFailure(.timeout, on: .silence, timeout: .seconds(1))
    }

    @Test func aReplyThatNeverEnds() async throws {
        try await expectFailure(.timeout, on: .bytes("$100\r\nabc"), timeout: .seconds(1))
    }

    @Test func oneByteAtATime() async throws {
        try await HostilePeer.run(answer: { _ in .oneByteAtATime("*2\r\n$5\r\nhello\r\n:7\r\n") }) { peer in
            try await withClient(peer.url) { client in
                let value = try await client.send(RedisCommand("GET", "a"))
                #expect(value == .array([.bulkString(Array("hello".utf8)), .integer(7)]))
            }
        }
    }

    /// The reply after the own one belongs to nobody.
    @Test func repliesNobodyAskedFor() async throws {
        try await within(.seconds(120)) {
            try await HostilePeer.run(answer: { $0 == 1 ? .bytes("+1\r\n+2\r\n") : .bytes("+OK\r\n") }) { peer in
                try await withClient(peer.url, { quickly(&$0) }) { client in
                    #expect(try await client.send(RedisCommand("GET", "a")) == .simpleString("1"))
                    try await eventually("a second connection") { peer.accepted.withLockedValue { $0 } >= 2 }
                    try await client.waitUntilReady(timeout: .seconds(60))
                    #expect(try await client.send(RedisCommand("GET", "a")) == .simpleString("OK"))
                }
            }
        }
    }

    @Test func refusalAtTheDoorIsTold() async throws {
        try await HostilePeer.run(
            greeting: "-ERR max number of clients reached\r\n", answer: { _ in .silence }
        ) { peer in
            try await withClient(peer.url, { quickly(&$0) }) { client in
                let error = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
                #expect(error?.code == .unavailable)
                #expect(error?.mayHaveExecuted == false)
                #expect(error?.message.contains("max number of clients") == true, "\(error as Any)")
            }
        }
    }

    @Test func aPeerThatRepeatsThePassword() async throws {
        let answer = HostilePeer.Answer.bytes("-ERR unknown command 'AUTH' with args 'hunter2'\r\n")
        try await HostilePeer.run(answer: { _ in answer }) { peer in
            try await withClient("redis://:hunter2@127.0.0.1:\(peer.port)", { quickly(&$0) }) { client in
                let error = await failure { () throws(RedisError) in try await client.send(RedisCommand("GET", "a")) }
                #expect(error?.message.contains("Check user and password") == true, "\(error as Any)")
                #expect(!"\(error as Any)".contains("hunter2"))
            }
        }
    }

    /// Only what is in flight on the broken connection fails, and it all fails at once.
    @Test func everythingInFlightFailsTogether() async throws {
        try await within(.seconds(120)) {
            let count = NIOLockedValueBox(0)
            try await HostilePeer.run(answer: { connection in
                guard connection == 1 else { return .bytes("+OK\r\n") }
                let number = count.withLockedValue { count in
                    count += 1
                    return count
                }
                return number < 5 ? .bytes("+OK\r\n") : number == 5 ? .bytes("!\r\n") : .silence
            }) { peer in
                try await withClient(peer.url, { quickly(&$0) }) { client in
                    try await client.waitUntilReady(timeout: .seconds(60))
                    let codes = await withTaskGroup(of: RedisError.Code?.self) { group in
                        for _ in 0..<20 {
                            group.addTask {
                                await failure { () throws(RedisError) in
                                    try await client.send(RedisCommand("GET", "a"))
                                }?.code
                            }
                        }
                        return await group.reduce(into: [RedisError.Code?]()) { $0.append($1) }
                    }
                    #expect(codes.count(where: { $0 == .protocolViolation }) >= 1)
                    #expect(codes.count(where: { $0 == nil }) >= 4)
                    #expect(codes.allSatisfy { $0 == nil || $0 == .protocolViolation || $0 == .unavailable })
                }
            }
        }
    }

    @Test func aSubscriptionPeerThatTalksNonsense() async throws {
        try await within(.seconds(120)) {
            try await HostilePeer.run(answer: { _ in .bytes("*3\r\n$4\r\nwhat\r\n$1\r\nc\r\n$1\r\nx\r\n") }) { peer in
                try await withClient(peer.url, { quickly(&$0) }) { client in
                    try await client.waitUntilReady(timeout: .seconds(60))
                    let subscription = client.subscribe(to: ["c"])
                    try await eventually("reconnects") { peer.accepted.withLockedValue { $0 } >= 4 }
                    #expect(client.connectionState == .ready, "the command connection is not affected")
                    subscription.cancel()
                }
            }
        }
    }
}
