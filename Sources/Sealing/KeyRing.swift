import Crypto
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The keys that may open sealed values; the first one seals.
///
/// A sealed value is the byte 1, the four bytes of the key's id, and what AES-256-GCM makes of the plaintext (nonce,
/// ciphertext, tag). Where it belongs is authenticated with it, so it cannot be moved to another account, field or
/// generation.
public struct KeyRing: Sendable {
    private static let version: UInt8 = 1

    public let keys: [SealingKey]

    /// - Throws: ``SealingError`` for no key at all.
    public init(keys: [SealingKey]) throws(SealingError) {
        guard !keys.isEmpty else { throw SealingError(.keyFile, "there is no sealing key") }
        self.keys = keys
    }

    /// The place a secret is bound to.
    public struct Place: Sendable, Hashable {
        let bytes: [UInt8]

        public init(account: AccountID, field: String, generation: Generation) {
            self.bytes = Array("\(account.rawValue)\u{0}\(field)\u{0}\(generation.rawValue)".utf8)
        }

        /// For what stays as it is while generations come and go.
        public init(account: AccountID, field: String) {
            self.bytes = Array("\(account.rawValue)\u{0}\(field)".utf8)
        }

        public init(purpose: String) {
            self.bytes = Array("\u{0}\(purpose)".utf8)
        }
    }

    /// What every value begins with that is sealed under the sealing key.
    public var sealPrefix: [UInt8] { [Self.version] + keys[0].id }

    public func seal(_ plaintext: [UInt8], at place: Place) throws(SealingError) -> [UInt8] {
        let key = keys[0]
        do {
            let box = try AES.GCM.seal(plaintext, using: key.key, authenticating: place.bytes)
            var sealed = sealPrefix
            sealed.reserveCapacity(plaintext.count + 40)
            sealed += box.nonce
            sealed += box.ciphertext
            sealed += box.tag
            return sealed
        } catch {
            // Never store plaintext instead: what cannot be sealed is not written.
            throw SealingError(.broken, "sealing failed")
        }
    }

    public func seal(_ secret: Secret, at place: Place) throws(SealingError) -> [UInt8] {
        try seal(Array(secret.reveal().utf8), at: place)
    }

    public func open(_ sealed: [UInt8], at place: Place) throws(SealingError) -> [UInt8] {
        guard sealed.count >= 1 + 4 + 12 + 16, sealed[0] == Self.version else {
            throw SealingError(.broken, "this is no sealed value")
        }
        let id = Array(sealed[1..<5])
        guard let key = keys.first(where: { $0.id == id }) else {
            let name = id.map { String($0, radix: 16) }.joined()
            throw SealingError(
                .unknownKey, "sealed with key \(name), which is not in the key file: add that key as a further line")
        }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed[5...])
            return Array(try AES.GCM.open(box, using: key.key, authenticating: place.bytes))
        } catch {
            throw SealingError(.broken, "a sealed value was changed or moved from another place")
        }
    }

    public func openSecret(_ sealed: [UInt8], at place: Place) throws(SealingError) -> Secret {
        Secret(String(decoding: try open(sealed, at: place), as: UTF8.self))
    }
}

// MARK: The key file

extension KeyRing {
    /// Reads the text of a key file: one base64 key a line, the first seals; `#` begins a comment.
    ///
    /// - Throws: ``SealingError`` naming the line.
    public init(text: String, source: String) throws(SealingError) {
        var keys: [SealingKey] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            if content.isEmpty { continue }
            guard let data = Data(base64Encoded: String(content)), data.count == 32 else {
                throw SealingError(
                    .keyFile,
                    "\(source):\(index + 1): not a key: each line is the base64 of 32 random bytes "
                        + "(make one with: openssl rand -base64 32)")
            }
            keys.append(try SealingKey(bytes: data))
        }
        guard !keys.isEmpty else {
            throw SealingError(.keyFile, "\(source) holds no key (make one with: openssl rand -base64 32)")
        }
        self.keys = keys
    }

    /// Reads a key file.
    public init(file path: String) throws(SealingError) {
        let text: String
        do {
            let data = try Data(contentsOf: URL(filePath: path))
            text = String(decoding: data.prefix(64 * 1024), as: UTF8.self)
        } catch {
            throw SealingError(.keyFile, "the sealing key file \(path) cannot be read")
        }
        try self.init(text: text, source: path)
    }
}
