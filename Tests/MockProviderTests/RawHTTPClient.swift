import FoundationEssentials
import NIOCore
import NIOPosix

/// An HTTP client as plain as can be: one connection for each request, bytes in, bytes out. It shows what a cut or
/// dropped connection really looks like, which a full client would turn into an error.
struct RawHTTPClient: Sendable {
    enum Target: Sendable {
        case port(Int)
        case unix(String)
    }

    struct Reply: Sendable {
        /// 0 if the connection closed without an answer.
        var status = 0
        var headers: [String: String] = [:]
        var body = ""

        /// Whether fewer bytes came than Content-Length promised.
        var isCut: Bool { body.utf8.count < (headers["content-length"].flatMap { Int($0) } ?? 0) }

        func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(body.utf8))
        }
    }

    let target: Target

    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String = ""
    ) async throws -> Reply {
        var head =
            "\(method) \(path) HTTP/1.1\r\nHost: mock\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        return Self.parse(try await exchange(head + "\r\n" + body))
    }

    /// Sends bytes and reads until the server closes.
    func exchange(_ request: String) async throws -> String {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        let initializer: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = {
            channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel)
            }
        }
        let channel =
            switch target {
            case .port(let port):
                try await bootstrap.connect(host: "127.0.0.1", port: port, channelInitializer: initializer)
            case .unix(let path):
                try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initializer)
            }
        return try await channel.executeThenClose { inbound, outbound in
            var received = ByteBuffer()
            // A reset ends the exchange like an orderly close: what has arrived by then is the result.
            do {
                try await outbound.write(ByteBuffer(string: request))
                for try await part in inbound {
                    received.writeImmutableBuffer(part)
                }
            } catch is IOError {}
            return String(buffer: received)
        }
    }

    private static func parse(_ text: String) -> Reply {
        var reply = Reply()
        guard let end = text.firstRange(of: "\r\n\r\n") else { return reply }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        reply.status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            reply.headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        reply.body = String(text[end.upperBound...])
        return reply
    }
}
