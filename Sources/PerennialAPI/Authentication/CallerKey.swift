import Crypto
import RefreshCore

/// A SHA-256 digest (FIPS 180-4), in words so that comparing takes the same time whatever it holds.
public struct KeyDigest: Sendable, Hashable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// Nil unless there are 32 bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == SHA256.byteCount else { return nil }
        words = bytes.withUnsafeBytes(Self.load)
    }

    /// The digest of a whole key text.
    public init(of text: Substring) {
        var text = text
        let digest = text.withUTF8 { utf8 in
            var hash = SHA256()
            hash.update(bufferPointer: UnsafeRawBufferPointer(utf8))
            return hash.finalize()
        }
        words = digest.withUnsafeBytes(Self.load)
    }

    private static func load(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64, UInt64) {
        (
            bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        )
    }

    public var hexadecimal: String {
        Hexadecimal.encode(
            [words.0, words.1, words.2, words.3].flatMap { word in withUnsafeBytes(of: word) { Array($0) } })
    }

    public static func == (lhs: KeyDigest, rhs: KeyDigest) -> Bool {
        // No early exit: where the first difference is must not show in the time taken.
        let difference =
            (lhs.words.0 ^ rhs.words.0) | (lhs.words.1 ^ rhs.words.1) | (lhs.words.2 ^ rhs.words.2)
            | (lhs.words.3 ^ rhs.words.3)
        return difference == 0
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
    }
}

/// A caller's key as it is kept: its digest and what it allows. The key itself is shown once, when it is created.
public struct CallerKey: Sendable, Hashable {
    /// Eight hexadecimal digits; part of the key text, so that a key can be told from another by looking at it.
    public var id: String
    public var name: String
    public var scopes: Set<Scope>
    public var digest: KeyDigest
    public var createdAt: WallTime

    public init(id: String, name: String, scopes: Set<Scope>, digest: KeyDigest, createdAt: WallTime) {
        self.id = id
        self.name = name
        self.scopes = scopes
        self.digest = digest
        self.createdAt = createdAt
    }

    public func allows(_ scope: Scope) -> Bool {
        scopes.contains { $0.implies(scope) }
    }

    /// A new key out of 32 random bytes: its text `prn_<id>_<43 base64url characters>` and what is kept of it.
    public static func generate(name: String, scopes: Set<Scope>, now: WallTime) -> (text: Secret, key: CallerKey) {
        var generator = SystemRandomNumberGenerator()
        let id = Hexadecimal.encode((0..<4).map { _ in UInt8.random(in: 0...255, using: &generator) })
        let random = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let text = "prn_\(id)_\(base64URL(random))"
        let key = CallerKey(id: id, name: name, scopes: scopes, digest: KeyDigest(of: text[...]), createdAt: now)
        return (Secret(text), key)
    }

    /// RFC 4648 §5 without padding.
    static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var (bits, count) = (0, 0)
        for byte in bytes {
            bits = (bits << 8 | Int(byte)) & 0xffff
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[bits >> count & 63])
            }
        }
        if count > 0 { text.append(alphabet[bits << (6 - count) & 63]) }
        return String(decoding: text, as: UTF8.self)
    }
}
