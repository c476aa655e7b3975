import Crypto
import CryptoExtras
import FoundationEssentials
public import RefreshCore

/// The key that assertions are signed with (RFC 7518 §3).
public struct SigningKey: Sendable, Hashable {
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        /// RSASSA-PKCS1-v1_5 with SHA-256; the key is PEM (PKCS #1 or #8), of 2048 bits or more.
        case rs256 = "RS256"
        /// ECDSA with P-256 and SHA-256; the key is PEM (SEC 1 or PKCS #8).
        case es256 = "ES256"
        /// HMAC with SHA-256; the key is the text itself, of 32 bytes or more.
        case hs256 = "HS256"
    }

    public let algorithm: Algorithm
    /// `kid` (RFC 7515 §4.1.4).
    public let keyID: String?
    private let key: Secret

    /// Why a key cannot be used; repeats nothing of it.
    public struct Unusable: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// - Throws: ``Unusable`` when `key` is not one for `algorithm`.
    public init(_ algorithm: Algorithm, key: Secret, keyID: String? = nil) throws(Unusable) {
        self.algorithm = algorithm
        self.key = key
        self.keyID = keyID
        do {
            _ = try signature(of: [])
        } catch {
            throw Unusable(description: error.description)
        }
        if algorithm == .hs256, key.reveal().utf8.count < 32 {
            throw Unusable(description: "is shorter than the 32 bytes that HS256 needs (RFC 7518 §3.2)")
        }
    }

    func signature(of bytes: [UInt8]) throws(TemplateFailure) -> [UInt8] {
        do {
            switch algorithm {
            case .rs256:
                let key = try _RSA.Signing.PrivateKey(pemRepresentation: key.reveal())
                return Array(
                    try key.signature(for: SHA256.hash(data: Data(bytes)), padding: .insecurePKCS1v1_5)
                        .rawRepresentation)
            case .es256:
                let key = try P256.Signing.PrivateKey(pemRepresentation: key.reveal())
                return Array(try key.signature(for: Data(bytes)).rawRepresentation)
            case .hs256:
                let key = SymmetricKey(data: Data(key.reveal().utf8))
                return Array(HMAC<SHA256>.authenticationCode(for: Data(bytes), using: key))
            }
        } catch {
            let wanted =
                switch algorithm {
                case .rs256: "an RSA private key of at least 2048 bits in PEM (-----BEGIN PRIVATE KEY-----)"
                case .es256: "a P-256 private key in PEM (-----BEGIN PRIVATE KEY-----)"
                case .hs256: "a text"
                }
            throw TemplateFailure("is not \(wanted), which \(algorithm.rawValue) needs")
        }
    }
}
