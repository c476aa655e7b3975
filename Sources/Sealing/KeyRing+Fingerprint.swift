import Crypto
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension KeyRing {
    /// What a refresh token is recognised by without being kept: a keyed hash under each key, that of the sealing key
    /// first. It tells nothing of the token to who does not have the key, and the same token at another provider has
    /// another fingerprint.
    ///
    /// A fingerprint is the key's id, a colon and 128 bits of HMAC-SHA256 (RFC 2104) in hexadecimal, under a key that is
    /// derived from the sealing key for this alone (HKDF, RFC 5869).
    public func fingerprints(of token: Secret, at provider: ProviderName) -> [String] {
        keys.map { key in
            let derived = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key.key, info: Self.fingerprintInfo, outputByteCount: 32)
            let message = "\(provider.rawValue)\u{0}\(token.reveal())"
            let code = HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: derived)
            return key.idText + ":" + code.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }

    private static let fingerprintInfo = Data("perennial refresh token fingerprint v1".utf8)
}
