import Crypto
import HTTPTypes
import HummingbirdCore
import NIOCore

/// What every double's API can do beside the row's own call, for those who pass calls on: any method, behind the same
/// check of the token. Numbers are taken from the query: `count` (10; 0 = without end), `interval` in ms (100), `size`
/// in bytes (1024).
enum DoubleCall: String, Sendable, CaseIterable {
    /// JSON: account, where the token was, method, authority, path, query, headers and length and SHA-256 of the body. Whatever is
    /// the token stands as `(token)`.
    case echo
    /// `count` server-sent events, one each `interval`: `{"n": 0…, "at": ms since 1970}`.
    case events
    /// `count` chunks of `size` bytes, without a pause unless `interval` is given.
    case chunked
    /// The same with the trailers `X-Count` and `X-Checksum` (SHA-256).
    case trailers
    /// A body of announced length whose `count` bytes come one each `interval`.
    case drip
    /// Never answers.
    case never
    /// A head and half a body; nothing more comes.
    case stall
    /// The same, and the connection closes.
    case cut
    /// Answers after `interval`.
    case hold

    var path: String { "/\(rawValue)" }

    init?(path: String) { self.init(rawValue: String(path.dropFirst())) }

    @Sendable static func bodyUse(_ request: Request) -> MockHTTP.BodyUse {
        switch DoubleCall(path: request.uri.path) {
        case nil: .keep
        case .echo, .hold: .digest
        default: .leave
        }
    }

    func answer(
        _ request: DoubleRequest, of account: String, with presented: DoublePresented, gauge: StreamGauge
    ) -> MockReply {
        let count: Int
        let interval: Duration
        let size: Int
        do throws(DoubleRefusal) {
            count = try request.number("count", or: 10, upTo: 1_000_000)
            let isSlow = self == .events || self == .drip || self == .hold
            interval = .milliseconds(try request.number("interval", or: isSlow ? 100 : 0, upTo: 600_000))
            size = try request.number("size", or: 1024, upTo: 1 << 20)
        } catch {
            return .error(.badRequest, "invalid_request", error.words)
        }
        let pieces = count == 0 ? Int.max : count
        func stream(
            _ type: String, length: Int? = nil, count: Int, ending: MockStream.Ending = .complete([:]),
            hasHead: Bool = true, _ piece: @escaping @Sendable (Int) -> ByteBuffer
        ) -> MockReply {
            var reply = MockReply(.ok, headers: [.contentType: type, .cacheControl: "no-store"])
            reply.stream = MockStream(
                length: length, count: count, interval: interval, piece: piece, ending: ending, hasHead: hasHead,
                gauge: gauge)
            return reply
        }
        let binary = "application/octet-stream"
        switch self {
        case .echo:
            return .json(.ok, Self.echo(request, of: account, with: presented))
        case .events:
            return stream("text/event-stream", count: pieces) { number in
                let now = MockEndpoints.now().milliseconds
                return ByteBuffer(string: "id: \(number)\ndata: {\"n\":\(number),\"at\":\(now)}\n\n")
            }
        case .chunked:
            return stream(binary, count: pieces) { Self.bytes($0, size) }
        case .trailers:
            var hash = SHA256()
            for number in 0..<count { hash.update(data: Self.bytes(number, size).readableBytesView) }
            let digest = hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            var reply = stream(
                binary, count: count, ending: .complete([.xCount: String(count), .xChecksum: digest])
            ) { Self.bytes($0, size) }
            reply.headers[.trailer] = "X-Count, X-Checksum"
            return reply
        case .drip:
            return stream(binary, length: count == 0 ? nil : count, count: pieces) { Self.bytes($0, 1) }
        case .never:
            return stream(binary, count: 0, ending: .silence, hasHead: false) { Self.bytes($0, 0) }
        case .stall, .cut:
            return stream(binary, length: 2 * size, count: 1, ending: self == .cut ? .cut : .silence) {
                Self.bytes($0, size)
            }
        case .hold:
            var reply = MockReply.json(.ok, ["account": .text(account)])
            reply.hold = interval
            return reply
        }
    }

    /// Different for each number, so that what is lost or comes twice shows.
    private static func bytes(_ number: Int, _ size: Int) -> ByteBuffer {
        ByteBuffer(repeating: UInt8(ascii: "a") + UInt8(number % 26), count: size)
    }

    private static func echo(
        _ request: DoubleRequest, of account: String, with presented: DoublePresented
    ) -> DoubleJSON {
        func shown(_ text: String) -> DoubleJSON { .text(text.replacing(presented.token, with: "(token)")) }
        let headers = request.headers.map { field -> DoubleJSON in
            // Basic credentials hold the token, but not as it is.
            let isBasic = field.name == .authorization && presented.place.hasPrefix("basic")
            return [.text(field.name.rawName), isBasic ? "Basic (token)" : shown(field.value)]
        }
        return [
            "account": .text(account), "place": .text(presented.place), "method": .text(request.method.rawValue),
            "authority": .text(request.authority), "path": .text(request.path),
            "query": .object(
                request.query.sorted { $0.key < $1.key }.map { DoubleJSON.Member(name: $0.key, value: shown($0.value)) }
            ),
            "headers": .array(headers), "body_length": .number(Int64(request.digest.length)),
            "body_sha256": .text(request.digest.hexadecimal),
        ]
    }
}

extension DoubleRequest {
    fileprivate func number(_ name: String, or usual: Int, upTo most: Int) throws(DoubleRefusal) -> Int {
        guard let text = query[name] else { return usual }
        guard let number = Int(text), number >= 0, number <= most else {
            throw .invalidRequest("\(name) has to be a number from 0 to \(most)")
        }
        return number
    }
}

extension HTTPField.Name {
    fileprivate static var xCount: Self { .init("X-Count") ?? .trailer }
    fileprivate static var xChecksum: Self { .init("X-Checksum") ?? .trailer }
}
