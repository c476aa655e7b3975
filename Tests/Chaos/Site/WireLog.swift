import MockProvider
import NIOConcurrencyHelpers
import NIOCore
import PerennialServers

/// One refresh token on its way from an instance to the provider. Times in milliseconds since 1970.
struct WireExchange: Sendable {
    var instance: Int
    var token: TokenFingerprint
    /// The chain of tokens that it belongs to, and its place in that chain from 0: refresh tokens of the mock provider
    /// say so themselves (`mrt_`, family, place, check, in hexadecimal).
    var family: Int
    var place: Int
    /// When the whole request had left the instance.
    var sentAt: Int64
    /// When the answer began to be handed to the instance.
    var answeredAt: Int64?
    /// When the connection ended, where it ended before an answer.
    var endedAt: Int64?
}

/// Who sent which refresh token when, and whether the answer got back: what the wires between instances and provider
/// have seen. Tokens are kept as fingerprints only.
final class WireLog: Sendable {
    private let box = NIOLockedValueBox<[WireExchange]>([])

    var exchanges: [WireExchange] { box.withLockedValue { $0 } }

    fileprivate func begin(_ exchange: WireExchange) -> Int {
        box.withLockedValue { exchanges in
            exchanges.append(exchange)
            return exchanges.count - 1
        }
    }

    fileprivate func answered(_ number: Int) {
        box.withLockedValue { if $0[number].answeredAt == nil { $0[number].answeredAt = Wall.now() } }
    }

    fileprivate func ended(_ number: Int) {
        box.withLockedValue { if $0[number].answeredAt == nil { $0[number].endedAt = Wall.now() } }
    }

    /// Listens in on one connection of an instance.
    func tap(instance: Int) -> any ProxyTap { ExchangeTap(instance: instance, log: self) }
}

/// Reads token requests out of a connection: HTTP/1.1, one after the other, each with a Content-Length.
private final class ExchangeTap: ProxyTap {
    private struct State {
        var unread = ByteBuffer()
        var current: Int?
    }

    private let instance: Int
    private let log: WireLog
    private let state = NIOLockedValueBox(State())

    init(instance: Int, log: WireLog) {
        self.instance = instance
        self.log = log
    }

    func sent(_ bytes: ByteBuffer) {
        state.withLockedValue { state in
            state.unread.writeImmutableBuffer(bytes)
            while let token = Self.takeRequest(&state.unread) {
                guard let (family, place) = Self.chain(of: token) else { continue }
                state.current = log.begin(
                    WireExchange(
                        instance: instance, token: TokenFingerprint(of: token), family: family, place: place,
                        sentAt: Wall.now()))
            }
        }
    }

    func received(_ bytes: ByteBuffer) {
        if let current = state.withLockedValue({ $0.current }) { log.answered(current) }
    }

    func ended() {
        if let current = state.withLockedValue({ $0.current }) { log.ended(current) }
    }

    /// Family and place of a refresh token; nil for one that is not the provider's.
    private static func chain(of token: String) -> (Int, Int)? {
        let digits = token.dropFirst(4)
        guard token.hasPrefix("mrt_"), digits.count == 32, let family = Int(digits.prefix(8), radix: 16),
            let place = Int(digits.dropFirst(8).prefix(8), radix: 16)
        else { return nil }
        return (family, place)
    }

    /// The refresh token of a whole request (empty: it holds none), which is taken out; nil while there is none.
    private static func takeRequest(_ buffer: inout ByteBuffer) -> String? {
        let text = String(buffer: buffer)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let head = text[..<end.lowerBound]
        var length = 0
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-length:") {
            length = Int(line.drop { $0 != ":" }.dropFirst().filter { $0 != " " }) ?? 0
        }
        let body = text[end.upperBound...]
        guard body.utf8.count >= length else { return nil }
        buffer.moveReaderIndex(forwardBy: head.utf8.count + 4 + length)
        let form = body.utf8.prefix(length).split(separator: UInt8(ascii: "&")).map { Substring($0) }
        let field = form.first { $0.hasPrefix("refresh_token=") }
        return String(field?.dropFirst("refresh_token=".count) ?? "")
    }
}
