import Crypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A 256-bit key for AES-GCM. Its id is derived from it, so two files can never give one id to different keys.
public struct SealingKey: Sendable, CustomStringConvertible, CustomReflectable {
    let key: SymmetricKey
    /// First four bytes of the SHA-256 of the key: names it in sealed values.
    public let id: [UInt8]

    /// - Throws: ``SealingError`` unless `bytes` are 32.
    public init(bytes: some Collection<UInt8>) throws(SealingError) {
        guard bytes.count == 32 else {
            throw SealingError(.keyFile, "a sealing key has 32 bytes, this one has \(bytes.count)")
        }
        self.key = SymmetricKey(data: Array(bytes))
        self.id = Array(SHA256.hash(data: Array(bytes)).prefix(4))
    }

    public static func generate() -> SealingKey {
        let key = SymmetricKey(size: .bits256)
        let bytes = key.withUnsafeBytes { Array($0) }
        return SealingKey(key: key, id: Array(SHA256.hash(data: bytes).prefix(4)))
    }

    init(key: SymmetricKey, id: [UInt8]) {
        self.key = key
        self.id = id
    }

    /// The line of a key file: base64 of the 32 bytes. Only for writing key files.
    public func revealBase64() -> String {
        key.withUnsafeBytes { Data($0).base64EncodedString() }
    }

    public var idText: String { id.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() }
    public var description: String { "sealing key \(idText)" }
    public var customMirror: Mirror { Mirror(self, children: ["id": idText]) }
}
