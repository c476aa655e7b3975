import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

@testable import PerennialAPI

/// A connection on which a test says what goes over it, byte by byte.
final class Wire: Sendable {
    private struct Received {
        var text = ""
        var isClosed = false
        var wasReset = false
    }

    private let channel: any Channel
    private let received: NIOLockedValueBox<Received>

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let received: NIOLockedValueBox<Received>

        init(_ received: NIOLockedValueBox<Received>) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            received.withLockedValue { $0.text += text }
        }

        func channelInactive(context: ChannelHandlerContext) { received.withLockedValue { $0.isClosed = true } }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if let error = error as? IOError, error.errnoCode == ECONNRESET {
                received.withLockedValue { $0.wasReset = true }
            }
            context.close(promise: nil)
        }
    }

    init(_ client: Client, autoRead: Bool = true) async throws {
        let received = NIOLockedValueBox(Received())
        self.received = received
        guard case .tcp(let host, let port) = client.addresses[0] else { throw TimedOut(received: "") }
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: autoRead)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: host, port: port).get()
    }

    func send(_ text: String) async throws {
        do {
            try await channel.writeAndFlush(ByteBuffer(string: text))
        } catch is ChannelError {
            // Closed by the server before it was written: what it has said still counts.
        } catch is IOError {}
    }

    func startReading() async throws { try await channel.setOption(.autoRead, value: true).get() }
    func close() async throws { try await channel.close() }
    var text: String { received.withLockedValue { $0.text } }
    var isClosed: Bool { received.withLockedValue { $0.isClosed } }
    /// It did not end in order.
    var wasReset: Bool { received.withLockedValue { $0.wasReset } }

    /// What has come once `condition` holds of it.
    func read(until condition: @Sendable (String) -> Bool) async throws -> String {
        try await waitFor { condition(self.text) }
        return text
    }

    /// All that comes until the server closes.
    func readToEnd() async throws -> String {
        try await waitFor { self.isClosed }
        return text
    }

    private func waitFor(_ condition: @Sendable () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(180)
        while !condition() {
            guard ContinuousClock.now < deadline else { throw TimedOut(received: text) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
