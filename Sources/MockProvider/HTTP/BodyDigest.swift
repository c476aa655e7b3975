import Crypto
import NIOCore

/// What is kept of a body that is too large to keep.
struct BodyDigest: Sendable {
    private(set) var length = 0
    private var hash = SHA256()

    mutating func take(_ buffer: ByteBuffer) {
        length += buffer.readableBytes
        buffer.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
    }

    /// SHA-256 in lower-case hexadecimal digits.
    var hexadecimal: String {
        hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
