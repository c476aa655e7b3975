import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// HTTP as all that this target plays speaks it: one answer for each request, and ways of not delivering it.
enum MockHTTP {
    /// Larger request bodies are answered 413.
    static let maximumBodySize = 1 << 20

    /// A request with its whole body; one that needs none has an empty one.
    struct WholeRequest: Sendable {
        var request: Request
        var body: ByteBuffer
    }

    /// A server that opens `gate` once it listens.
    static func server(
        at address: BindAddress, logger: Logger, gate: ListeningGate,
        answer: @escaping @Sendable (WholeRequest) -> MockReply
    ) throws -> any Service {
        try HTTPServerBuilder.http1().buildServer(
            configuration: ServerConfiguration(address: address, backlog: 4096),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger,
            responder: { request, writer, channel in
                try await respond(to: request, writer: writer, on: channel.eventLoop, answer: answer)
            },
            onServerRunning: { channel in
                gate.open(port: channel.localAddress?.port ?? 0)
            })
    }

    /// Thrown out of a responder to close the connection: that is how Hummingbird lets a handler do it.
    private struct CloseConnection: Error {}

    /// Whether a request's body is needed to answer it.
    private static func takesBody(_ request: Request) -> Bool {
        request.method == .post || request.method == .put
    }

    private static func respond(
        to request: Request, writer: consuming ResponseWriter, on eventLoop: any EventLoop,
        answer: @Sendable (WholeRequest) -> MockReply
    ) async throws {
        let reply: MockReply
        if takesBody(request) {
            do {
                let body = try await request.body.collect(upTo: maximumBodySize)
                reply = answer(WholeRequest(request: request, body: body))
            } catch is NIOTooManyBytesError {
                reply = .error(.contentTooLarge, "invalid_request", "The body exceeds \(maximumBodySize) bytes")
            }
        } else {
            reply = answer(WholeRequest(request: request, body: ByteBuffer()))
        }
        if reply.hold > .zero { try await wait(reply.hold, on: eventLoop) }

        var headers = reply.headers
        headers[.contentLength] = String(reply.body.readableBytes)
        let head = HTTPResponse(status: reply.status, headerFields: headers)
        switch reply.delivery {
        case .complete:
            try await writer.write(response: head, body: ResponseBody(byteBuffer: reply.body))
        case .truncated:
            var half = reply.body
            half.moveWriterIndex(to: half.readerIndex + half.readableBytes / 2)
            var body = try await writer.writeHead(head)
            try await body.write(half)
            throw CloseConnection()
        case .dropped:
            throw CloseConnection()
        }
    }

    /// Holds an answer back. Short holds are the latency of a benchmark and take the event loop's timer, which costs
    /// a fraction of a sleeping task. Long ones end with the server, so that a hang does not delay a shutdown.
    private static func wait(_ duration: Duration, on eventLoop: any EventLoop) async throws {
        if duration < .milliseconds(250) {
            try await eventLoop.scheduleTask(in: TimeAmount(duration)) {}.futureResult.get()
        } else {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: duration) }
        }
    }
}
