import NIOCore
import NIOPosix
import Synchronization

/// Stands between the instances and Redis and swallows every published message on its way to a subscriber, while
/// the subscriptions themselves stay up: nobody notices, and nobody is woken.
final class SilencingProxy: Sendable {
    private let channel: any Channel
    private let counter: MessageCounter

    let port: Int
    /// Messages swallowed so far.
    var swallowed: Int { counter.value.load(ordering: .relaxed) }

    private init(channel: any Channel, port: Int, counter: MessageCounter) {
        self.channel = channel
        self.port = port
        self.counter = counter
    }

    /// - Parameter socketPath: Redis' Unix socket.
    static func start(to socketPath: String) async throws -> SilencingProxy {
        let counter = MessageCounter()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop)
                    .channelInitializer { server in
                        server.eventLoop.makeCompletedFuture {
                            try server.pipeline.syncOperations.addHandler(
                                Relay(to: client, filter: MessageFilter(counter: counter)))
                        }
                    }
                    .connect(unixDomainSocketPath: socketPath)
                    .flatMap { server in
                        client.eventLoop.makeCompletedFuture {
                            try client.pipeline.syncOperations.addHandler(Relay(to: server, filter: nil))
                        }
                    }
                    .flatMap { client.setOption(.autoRead, value: true) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else { throw BenchError("the proxy listens on no port") }
        return SilencingProxy(channel: channel, port: port, counter: counter)
    }

    func close() async { try? await channel.close().get() }
}

/// How many messages were swallowed.
final class MessageCounter: Sendable {
    let value = Atomic(0)
}

/// Passes bytes on to the other side. Both sides live on one event loop.
private final class Relay: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let peer: any Channel
    private var filter: MessageFilter?

    init(to peer: any Channel, filter: MessageFilter?) {
        self.peer = peer
        self.filter = filter
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if let passed = filter?.pass(&bytes) { bytes = passed }
        if bytes.readableBytes > 0 { peer.writeAndFlush(bytes, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        peer.close(promise: nil)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Takes `message` pushes out of a stream of RESP2 replies, reply by reply, so that cut ones are not missed.
struct MessageFilter {
    private let counter: MessageCounter
    private var pending = ByteBuffer()

    init(counter: MessageCounter) {
        self.counter = counter
    }

    /// All complete replies that are no messages.
    mutating func pass(_ bytes: inout ByteBuffer) -> ByteBuffer {
        pending.writeBuffer(&bytes)
        var passed = ByteBuffer()
        while let length = Self.replyLength(pending, at: pending.readerIndex),
            var reply = pending.readSlice(length: length)
        {
            if Self.isMessage(reply) {
                counter.value.add(1, ordering: .relaxed)
            } else {
                passed.writeBuffer(&reply)
            }
        }
        pending.discardReadBytes()
        return passed
    }

    private static let push = Array("*3\r\n$7\r\nmessage\r\n".utf8)

    private static func isMessage(_ reply: ByteBuffer) -> Bool {
        reply.getBytes(at: reply.readerIndex, length: push.count) == push
    }

    /// The length of the reply that begins at `start`; nil while it is not complete.
    private static func replyLength(_ buffer: ByteBuffer, at start: Int) -> Int? {
        var index = start
        // Replies still to be read: an array adds its elements.
        var expected = 1
        while expected > 0 {
            guard let (type, number, next) = line(buffer, at: index) else { return nil }
            index = next
            expected -= 1
            switch type {
            case UInt8(ascii: "$"):
                if number >= 0 { index += number + 2 }
                guard index <= buffer.writerIndex else { return nil }
            case UInt8(ascii: "*"): expected += max(0, number)
            default: break
            }
        }
        return index - start
    }

    /// Type, number and end of the line that begins at `start`.
    private static func line(_ buffer: ByteBuffer, at start: Int) -> (UInt8, Int, Int)? {
        guard start < buffer.writerIndex, let type = buffer.getInteger(at: start, as: UInt8.self) else { return nil }
        let view = buffer.viewBytes(at: start, length: buffer.writerIndex - start) ?? ByteBufferView()
        guard let newline = view.firstIndex(of: 0x0a) else { return nil }
        var number = 0
        var sign = 1
        for byte in view[(view.startIndex + 1)..<newline] {
            if byte == UInt8(ascii: "-") { sign = -1 }
            // Simple strings end up here too; their number is of no interest, but must not trap.
            if (0x30...0x39).contains(byte) { number = (number &* 10) &+ Int(byte - 0x30) }
        }
        return (type, sign &* number, newline + 1)
    }
}
