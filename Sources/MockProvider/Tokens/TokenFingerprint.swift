import Crypto

/// The first 48 bits of a token's SHA-256: enough to tell tokens apart in a ledger, and no way back to the token.
public struct TokenFingerprint: Sendable, Hashable, CustomStringConvertible {
    let bits: UInt64

    public init(of token: String) {
        var bits: UInt64 = 0
        var token = token
        token.withUTF8 { bytes in
            for byte in SHA256.hash(data: bytes).prefix(6) {
                bits = bits << 8 | UInt64(byte)
            }
        }
        self.bits = bits
    }

    init(bits: UInt64) {
        self.bits = bits
    }

    /// Reads the twelve hexadecimal digits that ``description`` gives.
    init?(_ text: String) {
        guard text.utf8.count == 12, let bits = UInt64(text, radix: 16) else { return nil }
        self.bits = bits
    }

    /// Twelve lower-case hexadecimal digits.
    public var description: String {
        let digits = String(bits, radix: 16)
        return String(repeating: "0", count: 12 - digits.count) + digits
    }
}
