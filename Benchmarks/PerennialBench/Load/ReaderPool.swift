import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Connections that stand before the signal, so that a herd arrives at once and not one connect after the other.
///
/// Raw bytes on SwiftNIO: the herd shares its cores with the instances, and its own work would show in their times.
final class ReaderPool: Sendable {
    /// An answer, and when its last byte came.
    struct Answer: Sendable {
        /// 0: the connection ended instead.
        var status: Int
        var body: ByteBuffer
        /// Microseconds since 1970.
        var at: Int64
    }

    private let channels: [(port: Int, channel: any Channel)]

    private init(channels: [(port: Int, channel: any Channel)]) {
        self.channels = channels
    }

    /// Opens `connections` in all to the ports of 127.0.0.1, in turn, and has each answer once.
    static func open(ports: [Int], connections: Int) async throws -> ReaderPool {
        var channels: [(port: Int, channel: any Channel)] = []
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AnswerHandler())
                }
            }
        // In portions: an accept queue has an end.
        for start in stride(from: 0, to: connections, by: 64) {
            let futures = (start..<min(start + 64, connections)).map { number in
                let port = ports[number % ports.count]
                return (port: port, channel: bootstrap.connect(host: "127.0.0.1", port: port))
            }
            for future in futures { channels.append((future.port, try await future.channel.get())) }
        }
        let pool = ReaderPool(channels: channels)
        let answers = try await pool.fire { Self.request("GET", "/livez", port: $0, body: nil) }
        guard answers.allSatisfy({ $0.answer.status == 200 }) else {
            throw BenchError("not all connections are answered")
        }
        return pool
    }

    func close() async {
        for (_, channel) in channels { try? await channel.close().get() }
    }

    /// An HTTP/1.1 request.
    static func request(_ method: String, _ path: String, port: Int, body: String?) -> ByteBuffer {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
        if let body {
            text += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
        }
        return ByteBuffer(string: text + "\r\n" + (body ?? ""))
    }

    /// Sends one request on every connection at once and waits for all answers, at most `timeout`.
    ///
    /// - Throws: ``BenchError`` when answers are missing then.
    func fire(
        timeout: Duration = .seconds(30), _ request: (Int) -> ByteBuffer
    ) async throws -> [(port: Int, answer: Answer)] {
        let requests = Dictionary(Set(channels.map(\.port)).map { ($0, request($0)) }, uniquingKeysWith: { $1 })
        let collector = Collector(expected: channels.count)
        for (port, channel) in channels {
            guard let request = requests[port] else { continue }
            channel.eventLoop.execute {
                let order = Order(port: port, collector: collector, request: request)
                channel.pipeline.fireUserInboundEventTriggered(order)
            }
        }
        return try await collector.wait(timeout: timeout)
    }

    fileprivate struct Order: Sendable {
        var port: Int
        var collector: Collector
        var request: ByteBuffer
    }
}

/// Gathers the answers of one signal.
private final class Collector: Sendable {
    private let expected: Int
    private let answers = NIOLockedValueBox<[(port: Int, answer: ReaderPool.Answer)]>([])

    init(expected: Int) {
        self.expected = expected
    }

    func add(_ port: Int, _ answer: ReaderPool.Answer) {
        answers.withLockedValue { $0.append((port, answer)) }
    }

    func wait(timeout: Duration) async throws -> [(port: Int, answer: ReaderPool.Answer)] {
        let deadline = ContinuousClock.now + timeout
        while true {
            let count = answers.withLockedValue { $0.count }
            if count == expected { return answers.withLockedValue { $0 } }
            guard ContinuousClock.now < deadline else {
                throw BenchError("\(expected - count) of \(expected) readers have no answer after \(timeout)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// One connection: sends what it is told to and reads one answer with a Content-Length.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var received = ByteBuffer()
    private var order: ReaderPool.Order?

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let order = event as? ReaderPool.Order else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        self.order = order
        guard context.channel.isActive else { return fail() }
        context.writeAndFlush(wrapOutboundOut(order.request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = Self.now()
        var part = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = part } else { received.writeBuffer(&part) }
        guard let order, let (status, body) = HTTPAnswerReader.read(received) else { return }
        self.order = nil
        received = ByteBuffer()
        order.collector.add(order.port, ReaderPool.Answer(status: status, body: body, at: now))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func fail() {
        guard let order else { return }
        self.order = nil
        order.collector.add(order.port, ReaderPool.Answer(status: 0, body: ByteBuffer(), at: Self.now()))
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
