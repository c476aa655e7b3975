import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

@testable import RedisClient

/// A server made of a function from commands to replies: a Sentinel or a Cluster's node that says what a test wants.
///
/// PING and CLIENT are answered by itself, unless the function answers them.
final class FakeServer: Sendable {
    /// Nil: the default answer. Raw RESP otherwise; ``hangUp`` ends the connection.
    typealias Answer = @Sendable (_ command: [String]) -> String?
    static let hangUp = "hang up"

    let port: Int
    private let channel: any Channel
    private let log: NIOLockedValueBox<[[String]]>
    private let answer: NIOLockedValueBox<Answer>

    static func start(_ answer: @escaping Answer = { _ in nil }) async throws -> FakeServer {
        let log = NIOLockedValueBox<[[String]]>([])
        let answer = NIOLockedValueBox(answer)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(log: log, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FakeServer(channel: channel, log: log, answer: answer)
    }

    private init(channel: any Channel, log: NIOLockedValueBox<[[String]]>, answer: NIOLockedValueBox<Answer>) {
        self.channel = channel
        self.log = log
        self.answer = answer
        port = channel.localAddress?.port ?? 0
    }

    /// What it is to say from now on.
    func say(_ answer: @escaping Answer) { self.answer.withLockedValue { $0 = answer } }

    /// All commands received so far, PING and CLIENT left out.
    var commands: [[String]] { log.withLockedValue { $0 } }
    func count(_ name: String) -> Int { commands.count { $0.first == name } }

    func stop() async { try? await channel.close() }

    static func bulk(_ text: some CustomStringConvertible) -> String {
        "$\(text.description.utf8.count)\r\n\(text)\r\n"
    }

    static func array(_ items: [String]) -> String { "*\(items.count)\r\n" + items.joined() }

    /// A reply to CLUSTER SLOTS with ranges and the ports of their owners.
    static func slots(_ ranges: [(ClosedRange<Int>, Int)]) -> String {
        array(
            ranges.map { range, port in
                array([
                    ":\(range.lowerBound)\r\n", ":\(range.upperBound)\r\n", array([bulk("127.0.0.1"), ":\(port)\r\n"]),
                ])
            })
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let log: NIOLockedValueBox<[[String]]>
        private let answer: NIOLockedValueBox<Answer>
        private var rest = ""

        init(log: NIOLockedValueBox<[[String]]>, answer: NIOLockedValueBox<Answer>) {
            self.log = log
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            rest += String(buffer: unwrapInboundIn(data))
            while let command = next() {
                let custom = answer.withLockedValue { $0 }(command)
                if command[0] != "PING", command[0] != "CLIENT" { log.withLockedValue { $0.append(command) } }
                guard custom != FakeServer.hangUp else { return context.close(promise: nil) }
                let reply = custom ?? (command[0] == "PING" ? "+PONG\r\n" : "+OK\r\n")
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
            }
        }

        /// A whole command, if there is one. Arguments hold no line breaks here.
        private func next() -> [String]? {
            let lines = rest.split(separator: "\r\n", omittingEmptySubsequences: false)
            guard lines.count > 1, lines[0].first == "*", let count = Int(lines[0].dropFirst()),
                lines.count > 2 * count + 1
            else { return nil }
            let words = (0..<count).map { String(lines[2 * $0 + 2]) }
            rest = lines.dropFirst(2 * count + 1).joined(separator: "\r\n")
            return [words[0].uppercased()] + words.dropFirst()
        }
    }
}

/// Runs `body` with some fake servers and stops them whatever happens.
func withFakeServers<Result: Sendable>(
    _ count: Int, _ body: ([FakeServer]) async throws -> Result
) async throws -> Result {
    var servers: [FakeServer] = []
    for _ in 0..<count { servers.append(try await FakeServer.start()) }
    do {
        let result = try await body(servers)
        for server in servers { await server.stop() }
        return result
    } catch {
        for server in servers { await server.stop() }
        throw error
    }
}
