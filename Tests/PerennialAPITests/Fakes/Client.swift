import JSONText
import NIOCore
import NIOPosix

@testable import PerennialAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A response as it came over the wire.
struct RawResponse: Sendable, Hashable {
    var status: Int
    var head: String
    var headers: [String: String]
    var body: String

    /// The value of a member of a flat JSON object, as text.
    func member(_ name: String) -> String? {
        guard case .object(let members)? = try? JSONReader.parse(Array(body.utf8)),
            let value = members.first(where: { $0.name == name })?.value
        else { return nil }
        switch value {
        case .string(let text): return text
        case .integer(let number): return String(number)
        case .bool(let flag): return String(flag)
        case .null: return "null"
        default: return value.kind
        }
    }

    /// The names of the members in the order of the text.
    var memberNames: [String] {
        guard case .object(let members)? = try? JSONReader.parse(Array(body.utf8)) else { return [] }
        return members.map(\.name)
    }
}

struct TimedOut: Error {
    var received: String
}

/// A bare HTTP/1.1 client on raw bytes: what the tests say is what goes over the wire.
struct Client: Sendable {
    var addresses: [ListenAddress]

    struct Outcome: Sendable {
        var responses: [RawResponse]
        /// Whether the server ended the connection.
        var isClosed: Bool
    }

    /// Sends `text`, and reads until `count` responses are there or the server closes.
    func exchange(
        _ text: String, count: Int = 1, bodiless: Set<Int> = [], untilClosed: Bool = false, listener: Int = 0
    ) async throws -> Outcome {
        let channel = try await connect(listener)
        return try await channel.executeThenClose { inbound, outbound in
            do {
                try await outbound.write(ByteBuffer(string: text))
            } catch is ChannelError {
                // Closed by the server before or while it was written; what it has said still counts.
            }
            return try await withThrowingTaskGroup(of: Outcome.self) { group in
                group.addTask {
                    var received: [UInt8] = []
                    var responses: [RawResponse] = []
                    if !untilClosed, count == 0 { return Outcome(responses: [], isClosed: false) }
                    do {
                        for try await chunk in inbound {
                            received += Array(chunk.readableBytesView)
                            responses = Self.parse(received, bodiless: bodiless)
                            if !untilClosed, responses.count >= count {
                                return Outcome(responses: responses, isClosed: false)
                            }
                        }
                    } catch let error as IOError where error.errnoCode == ECONNRESET && untilClosed {
                        // Closed by the server while bytes of this side were still on their way: closed all the same.
                    }
                    return Outcome(responses: responses, isClosed: true)
                }
                group.addTask {
                    try await Task.sleep(for: .seconds(60))
                    throw TimedOut(received: "")
                }
                defer { group.cancelAll() }
                guard let outcome = try await group.next() else { throw TimedOut(received: "") }
                return outcome
            }
        }
    }

    /// One request on a connection of its own.
    func send(
        _ method: String, _ target: String, headers: [String] = [], body: String? = nil, listener: Int = 0
    ) async throws -> RawResponse {
        var lines = ["\(method) \(target) HTTP/1.1"]
        if !headers.contains(where: { $0.lowercased().hasPrefix("host:") }) { lines.append("Host: localhost") }
        lines += headers
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
        let outcome = try await exchange(text, bodiless: method == "HEAD" ? [0] : [], listener: listener)
        guard let response = outcome.responses.first else { throw TimedOut(received: "closed without a response") }
        return response
    }

    private func connect(_ listener: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        let wrap: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = { channel in
            channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
        }
        switch addresses[listener] {
        case .tcp(let host, let port):
            return try await bootstrap.connect(host: host, port: port, channelInitializer: wrap)
        case .unix(let path):
            return try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: wrap)
        }
    }

    static func parse(_ bytes: [UInt8], bodiless: Set<Int>) -> [RawResponse] {
        var rest = bytes[...]
        var responses: [RawResponse] = []
        while let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) {
            let head = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
            let lines = head.split(separator: "\r\n")
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
            }
            let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            let hasBody = !bodiless.contains(responses.count) && status != 304 && status != 204
            let length = hasBody ? Int(headers["content-length"] ?? "0") ?? 0 : 0
            guard rest.endIndex - end.upperBound >= length else { break }
            let body = String(decoding: rest[end.upperBound..<(end.upperBound + length)], as: UTF8.self)
            responses.append(RawResponse(status: status, head: head, headers: headers, body: body))
            rest = rest[(end.upperBound + length)...]
        }
        return responses
    }
}

extension Collection where Element: Equatable {
    func firstRange(of other: [Element]) -> Range<Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].starts(with: other), let end = index(start, offsetBy: other.count, limitedBy: endIndex) {
                return start..<end
            }
            start = index(after: start)
        }
        return nil
    }
}
