import HTTPTypes
import NIOConcurrencyHelpers
import NIOCore

/// An answer that comes piece by piece, or not at all.
struct MockStream: Sendable {
    enum Ending: Sendable {
        /// The body ends as it should, with these trailers (RFC 9110 §6.5).
        case complete(HTTPFields)
        /// The connection closes before.
        case cut
        /// Nothing more comes, and the connection stays.
        case silence
    }

    /// Announced as Content-Length; nil: chunked.
    var length: Int?
    /// `Int.max`: without end.
    var count: Int
    /// Between two pieces.
    var interval: Duration
    /// Counts from 0.
    var piece: @Sendable (Int) -> ByteBuffer
    var ending = Ending.complete([:])
    /// False: not even a status line.
    var hasHead = true
    let gauge: StreamGauge
}

/// How many streams are being answered.
final class StreamGauge: Sendable {
    private let count = NIOLockedValueBox(0)

    var value: Int { count.withLockedValue { $0 } }

    func begin() { count.withLockedValue { $0 += 1 } }
    func end() { count.withLockedValue { $0 -= 1 } }
}
