import NIOCore
import NIOHTTP1
import NIOPosix

/// Stands for the HTTP client of a real backend: one plain GET over a connection of its own.
enum HTTP {
    struct NoAnswer: Error {}

    struct NotHTTP: Error, CustomStringConvertible {
        let description =
            "the URL has to be http://HOST:PORT/PATH: this example has no TLS, and sends no token without it elsewhere"
    }

    static func get(_ url: String, authorization: String) async throws -> (status: Int, body: String) {
        // http://HOST:PORT/PATH
        let parts = url.split(separator: "/", maxSplits: 2)
        guard url.hasPrefix("http://"), parts.count >= 2 else { throw NotHTTP() }
        let host = parts[1].split(separator: ":")
        guard !host.isEmpty else { throw NotHTTP() }
        let connection = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(
            host: String(host[0]), port: Int(host[1]) ?? 80
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                    wrappingChannelSynchronously: channel)
            }
        }
        return try await connection.executeThenClose { inbound, outbound in
            let headers: HTTPHeaders = ["Host": String(parts[1]), "Authorization": authorization]
            try await outbound.write(
                .head(
                    HTTPRequestHead(
                        version: .http1_1, method: .GET, uri: parts.count > 2 ? "/\(parts[2])" : "/", headers: headers))
            )
            try await outbound.write(.end(nil))
            var status = 0
            var body = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(var bytes): body.writeBuffer(&bytes)
                case .end: return (status, String(buffer: body))
                }
            }
            throw NoAnswer()
        }
    }
}
