import Crypto

/// What the authorization endpoint has been asked and has answered: codes and device codes, each good once.
struct MockAuthorization: Sendable {
    /// A request of a client, before somebody has decided on it.
    struct Request: Sendable, Equatable {
        var clientID: String
        var redirectURI: String
        var state: String?
        var challenge: String
        var scope: String?
        var nonce: String?
        /// Google's parameter: without `offline` there is no refresh token; left out counts as `offline` here.
        var accessType: String?
        var issuer: String
    }

    struct Code: Sendable {
        var request: Request
        var account: String
        var issuedAt: MockInstant
        /// Nil until it is used; -1 where the use was refused.
        var family: Int?
    }

    struct Device: Sendable {
        enum Decision: Sendable, Equatable {
            case pending, denied
            case allowed(account: String)
        }

        var clientID: String
        var userCode: String
        var scope: String?
        var issuer: String
        var expiresAt: MockInstant
        /// Seconds between two questions; grows with `slow_down`.
        var interval: Int64
        var lastAskedAt: MockInstant?
        var decision = Decision.pending
        var isSpent = false
    }

    /// RFC 6749 §4.1.2 recommends at most ten minutes.
    static let codeLifetime = Duration.seconds(60)

    private var generator: SeededGenerator
    var pending: [String: Request] = [:]
    var codes: [String: Code] = [:]
    var devices: [String: Device] = [:]

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed ^ 0xA570_0A57_0A57_00A5)
    }

    mutating func newName(_ prefix: String) -> String {
        let digits = String(generator.next(), radix: 16)
        return prefix + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Eight letters that are hard to mistake (RFC 8628 §6.1).
    mutating func newUserCode() -> String {
        let letters = Array("BCDFGHJKLMNPQRSTVWXZ")
        let code = (0..<8).map { _ in letters[Int(generator.next() % UInt64(letters.count))] }
        return String(code[..<4]) + "-" + String(code[4...])
    }

    /// Base64url of the SHA-256 of the verifier (RFC 7636 §4.6).
    static func challenge(of verifier: String) -> String {
        Base64URL.text(Array(SHA256.hash(data: Array(verifier.utf8))))
    }
}

enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

    /// RFC 4648 §5 without padding.
    static func text(_ bytes: [UInt8]) -> String {
        var result = ""
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                result.append(alphabet[Int(buffer >> UInt32(bits)) & 63])
            }
        }
        if bits > 0 { result.append(alphabet[Int(buffer << UInt32(6 - bits)) & 63]) }
        return result
    }
}
