import Crypto
import CryptoExtras
import FoundationEssentials
import NIOCore

/// JWTs (RFC 7519) as a provider makes and judges them.
enum JSONWebToken {
    /// A token whose signature nobody but its issuer can check.
    static func issue(_ claims: DoubleJSON, key: SymmetricKey) -> String {
        let header: DoubleJSON = ["alg": "HS256", "typ": "JWT"]
        let signed =
            base64URL(Data(header.buffer.readableBytesView)) + "."
            + base64URL(Data(claims.buffer.readableBytesView))
        let signature = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: key)
        return signed + "." + base64URL(Data(signature))
    }

    /// What an assertion says (RFC 7523 §3).
    struct Assertion: Sendable {
        var issuer: String
        var subject: String
        var audiences: [String]
        /// Seconds since 1970.
        var expiresAt: Double
        var issuedAt: Double?
        var notBefore: Double?
        var id: String?
    }

    /// Reads an assertion whose signature fits.
    ///
    /// - Parameter key: PEM of an RSA or P-256 public key.
    /// - Throws: `invalidAssertion` that says what is wrong with it.
    static func verify(_ text: String, key: String) throws(DoubleRefusal) -> Assertion {
        func refuse(_ reason: String) -> DoubleRefusal { .invalidAssertion("its assertion \(reason)") }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = decode(parts[0]), let claims = decode(parts[1]),
            let signature = decode(parts[2])
        else { throw refuse("is not three parts of base64url") }
        guard let head = try? JSONDecoder().decode(Head.self, from: header) else {
            throw refuse("has no readable header")
        }
        let signed = Data("\(parts[0]).\(parts[1])".utf8)
        switch head.alg {
        case "RS256":
            guard let key = try? _RSA.Signing.PublicKey(pemRepresentation: key) else {
                throw refuse("is signed with RS256, and the registered key is not RSA")
            }
            let rsa = _RSA.Signing.RSASignature(rawRepresentation: signature)
            guard key.isValidSignature(rsa, for: SHA256.hash(data: signed), padding: .insecurePKCS1v1_5) else {
                throw refuse("has a wrong signature")
            }
        case "ES256":
            guard let key = try? P256.Signing.PublicKey(pemRepresentation: key) else {
                throw refuse("is signed with ES256, and the registered key is not on P-256")
            }
            guard let ecdsa = try? P256.Signing.ECDSASignature(rawRepresentation: signature),
                key.isValidSignature(ecdsa, for: signed)
            else { throw refuse("has a wrong signature") }
        default: throw refuse("is signed with an algorithm that is not accepted")
        }
        guard let claims = try? JSONDecoder().decode(Claims.self, from: claims) else {
            throw refuse("lacks iss, sub, aud or exp, or has one of another type")
        }
        return Assertion(
            issuer: claims.iss, subject: claims.sub, audiences: claims.aud.values, expiresAt: claims.exp,
            issuedAt: claims.iat, notBefore: claims.nbf, id: claims.jti)
    }

    private struct Head: Decodable {
        var alg: String
    }

    private struct Claims: Decodable {
        var iss: String
        var sub: String
        var aud: OneOrMany
        var exp: Double
        var iat: Double?
        var nbf: Double?
        var jti: String?
    }

    private struct OneOrMany: Decodable {
        var values: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let many = try? container.decode([String].self) {
                values = many
            } else {
                values = [try container.decode(String.self)]
            }
        }
    }

    /// RFC 4648 §5, without padding.
    static func base64URL(_ data: Data) -> String {
        var bytes: [UInt8] = []
        for byte in data.base64EncodedString().utf8 {
            switch byte {
            case UInt8(ascii: "="): continue
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: "-"))
            case UInt8(ascii: "/"): bytes.append(UInt8(ascii: "_"))
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil where there is padding or anything else that RFC 7515 §2 rules out.
    private static func decode(_ text: Substring) -> Data? {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "-"): bytes.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): bytes.append(UInt8(ascii: "/"))
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: bytes.append(byte)
            default: return nil
            }
        }
        guard !bytes.isEmpty else { return nil }
        while !bytes.count.isMultiple(of: 4) { bytes.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: Data(bytes))
    }
}
