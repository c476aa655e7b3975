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
        var digest = BodyDigest()
    }

    /// What is done with a request's body.
    enum BodyUse: Sendable {
        /// Kept where the method has one, within ``maximumBodySize``.
        case keep
        /// Read to its end, whatever its length, and only its digest kept.
        case digest
        /// Left for when the answer is a stream: then it is read while that is written.
        case leave
    }

    /// A server that opens `gate` once it listens.
    static func server(
        at address: BindAddress, logger: Logger, gate: ListeningGate,
        bodyUse: @escaping @Sendable (Request) -> BodyUse = { _ in .keep },
        answer: @escaping @Sendable (WholeRequest) -> MockReply
    ) throws -> any Service {
        try HTTPServerBuilder.http1().buildServer(
            configuration: ServerConfiguration(address: address, backlog: 4096),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger,
            responder: { request, writer, channel in
                try await respond(
                    to: request, writer: writer, on: channel.eventLoop, use: bodyUse(request), answer: answer)
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
        to request: Request, writer: consuming ResponseWriter, on eventLoop: any EventLoop, use: BodyUse,
        answer: @Sendable (WholeRequest) -> MockReply
    ) async throws {
        let reply: MockReply
        if use == .digest {
            var digest = BodyDigest()
            for try await part in request.body { digest.take(part) }
            reply = answer(WholeRequest(request: request, body: ByteBuffer(), digest: digest))
        } else if use == .keep, takesBody(request) {
            do {
                let body = try await request.body.collect(upTo: maximumBodySize)
                reply = answer(WholeRequest(request: request, body: body))
            } catch is NIOTooManyBytesError {
                reply = .error(.contentTooLarge, "invalid_request", "The body exceeds \(maximumBodySize) bytes")
            }
        } else {
            reply = answer(WholeRequest(request: request, body: ByteBuffer()))
        }
        if let stream = reply.stream {
            return try await respond(to: request, writer: writer, on: eventLoop, head: reply, stream)
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

    private static func respond(
        to request: Request, writer: consuming ResponseWriter, on eventLoop: any EventLoop, head reply: MockReply,
        _ stream: MockStream
    ) async throws {
        stream.gauge.begin()
        defer { stream.gauge.end() }
        guard stream.hasHead else {
            try await request.body.consumeWithCancellationOnInboundClose { try await silence($0) }
            throw CloseConnection()
        }
        var headers = reply.headers
        if let length = stream.length { headers[.contentLength] = String(length) }
        var body = try await writer.writeHead(HTTPResponse(status: reply.status, headerFields: headers))
        if stream.interval == .zero, stream.count < .max {
            // The body of the request is left to Hummingbird, and the connection to the next request.
            for number in 0..<stream.count { try await body.write(stream.piece(number)) }
        } else {
            try await request.body.consumeWithCancellationOnInboundClose { request in
                for try await _ in request {}
                for number in 0..<stream.count {
                    if number > 0 { try await wait(stream.interval, on: eventLoop) }
                    if Task.isShuttingDownGracefully { throw CloseConnection() }
                    try await body.write(stream.piece(number))
                }
            }
        }
        switch stream.ending {
        case .complete(let trailers): try await body.finish(trailers.isEmpty ? nil : trailers)
        case .cut: throw CloseConnection()
        case .silence:
            try await request.body.consumeWithCancellationOnInboundClose { try await silence($0) }
            throw CloseConnection()
        }
    }

    /// Until the caller goes away, or the server.
    private static func silence(_ body: RequestBody) async throws {
        for try await _ in body {}
        try await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(86_400)) }
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
