import Crypto
import CryptoExtras

/// The keys that `jwt_bearer` accounts sign their assertions with, made for one run.
struct AssertionKeys: Sendable {
    struct Key: Sendable {
        var algorithm: String
        var privatePEM: String
        var publicPEM: String
        /// The one of the main row.
        var isUsual: Bool
    }

    let all: [Key]

    init() throws {
        let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let ec = P256.Signing.PrivateKey()
        all = [
            Key(
                algorithm: "RS256", privatePEM: rsa.pkcs8PEMRepresentation, publicPEM: rsa.publicKey.pemRepresentation,
                isUsual: true),
            Key(
                algorithm: "ES256", privatePEM: ec.pemRepresentation, publicPEM: ec.publicKey.pemRepresentation,
                isUsual: false),
        ]
    }
}
