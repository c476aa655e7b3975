import Glibc
import NIOCore
import NIOPosix

/// An upstream that answers every request with server-sent events, one at each beat, that say when they were written.
struct EventServer: Sendable {
    let port: Int
    private let channel: any Channel

    /// - Parameters:
    ///   - beat: between two events of a stream. Streams are spread over it by when they begin.
    ///   - events: of a stream, which then ends.
    static func start(beat: Duration, events: Int) async throws -> EventServer {
        let beat = TimeAmount.nanoseconds(Int64(beat / .nanoseconds(1)))
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EventHandler(beat: beat, events: events))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else { throw BenchError("the event server has no port") }
        return EventServer(port: port, channel: channel)
    }

    func stop() async { try? await channel.close() }

    /// Nanoseconds on a clock that all processes of this machine share.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// One connection: a request, and its stream.
private final class EventHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let beat: TimeAmount
    private var left: Int
    private var hasBegun = false
    private var next: Scheduled<Void>?

    init(beat: TimeAmount, events: Int) {
        self.beat = beat
        left = events
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // One that asks for a stream has no body, and comes in one piece over the loopback.
        guard !hasBegun else { return }
        hasBegun = true
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        write(head, context)
        tell(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        next?.cancel()
    }

    private func tell(_ context: ChannelHandlerContext) {
        guard left > 0 else {
            write("0\r\n\r\n", context)
            hasBegun = false
            return
        }
        left -= 1
        let event = "data: \(EventServer.now())\n\n"
        write("\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n", context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        next = context.eventLoop.scheduleTask(in: beat) {
            let (handler, context) = bound.value
            handler.tell(context)
        }
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: text)), promise: nil)
    }
}
