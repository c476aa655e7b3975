import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// An HTTP server on a free port of 127.0.0.1 whose answers a test makes up, request by request, as raw bytes.
public final class AnsweringServer: Sendable {
    /// Gets the whole request as text and how many came before it; answers with the whole response.
    public typealias Answer = @Sendable (_ request: String, _ number: Int) -> String

    public let port: Int
    private let channel: any Channel
    private let requests: NIOLockedValueBox<[String]>

    private init(port: Int, channel: any Channel, requests: NIOLockedValueBox<[String]>) {
        self.port = port
        self.channel = channel
        self.requests = requests
    }

    public static func start(_ answer: @escaping Answer) async throws -> AnsweringServer {
        let requests = NIOLockedValueBox<[String]>([])
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Exchange(answer: answer, requests: requests))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else { throw ChannelError.unknownLocalAddress }
        return AnsweringServer(port: port, channel: channel, requests: requests)
    }

    /// All requests so far, in the order in which they were complete.
    public var received: [String] { requests.withLockedValue { $0 } }

    public func stop() async { try? await channel.close() }

    /// A response with a JSON body; the connection is closed after it.
    public static func response(_ status: Int, headers: [String] = [], json: String = "") -> String {
        let lines = ["HTTP/1.1 \(status) Made-Up", "Content-Type: application/json"] + headers
        return (lines + ["Content-Length: \(json.utf8.count)", "Connection: close"]).joined(separator: "\r\n")
            + "\r\n\r\n" + json
    }

    /// One connection: one request, one answer.
    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let answer: Answer
        private let requests: NIOLockedValueBox<[String]>
        private var bytes: [UInt8] = []
        private var hasAnswered = false

        init(answer: @escaping Answer, requests: NIOLockedValueBox<[String]>) {
            self.answer = answer
            self.requests = requests
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
            guard !hasAnswered, let request = whole else { return }
            hasAnswered = true
            let number = requests.withLockedValue { requests in
                requests.append(request)
                return requests.count - 1
            }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer(request, number))), promise: nil)
            context.close(mode: .output, promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        /// Nil until the body is as long as Content-Length says.
        private var whole: String? {
            let text = String(decoding: bytes, as: UTF8.self)
            guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
            let length = text[..<end.lowerBound].lowercased().split(separator: "\r\n")
                .first { $0.hasPrefix("content-length:") }
                .flatMap { Int($0.dropFirst("content-length:".count).filter { $0 != " " }) }
            return text[end.upperBound...].utf8.count >= length ?? 0 ? text : nil
        }
    }
}
