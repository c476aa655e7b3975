import Crypto
import CryptoExtras
import FoundationEssentials
import Testing

@testable import MockProvider

/// The assertion grant (RFC 7523), with assertions made here.
@Suite("Double: jwt_bearer", .timeLimit(.minutes(10)))
struct JWTBearerDoubleTests {
    private struct Claims: Encodable {
        var iss = "app-jwt_bearer"
        var sub = "alice"
        var aud = "http://mock/oauth2/token"
        var iat = Date().timeIntervalSince1970.rounded()
        var exp = Date().timeIntervalSince1970.rounded() + 300
        var jti = "\(UInt64.random(in: .min ... .max))"
    }

    private static let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

    private static func encoded(_ data: some DataProtocol) -> String {
        Data(data).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func sign(
        _ claims: Claims, algorithm: String, _ signature: (Data) throws -> Data
    ) throws -> String {
        let head = encoded(Data(#"{"alg":"\#(algorithm)","typ":"JWT"}"#.utf8))
        let signed = "\(head).\(encoded(try JSONEncoder().encode(claims)))"
        return "\(signed).\(encoded(try signature(Data(signed.utf8))))"
    }

    private static func body(_ assertion: String) -> String { formBody(["grant_type": grant, "assertion": assertion]) }

    @Test func anES256AssertionIsTakenOnce() async throws {
        let key = P256.Signing.PrivateKey()
        var configuration = DoubleConfiguration(.jwtBearer)
        configuration.assertionKey = key.publicKey.pemRepresentation
        try await withDouble(configuration) { double, client in
            double.grant("alice")
            func send(_ claims: Claims, key other: P256.Signing.PrivateKey? = nil) async throws -> RawHTTPClient.Reply {
                let assertion = try Self.sign(claims, algorithm: "ES256") {
                    try (other ?? key).signature(for: $0).rawRepresentation
                }
                return try await client.send("POST", "/oauth2/token", headers: form, body: Self.body(assertion))
            }
            let assertion = try Self.sign(Claims(), algorithm: "ES256") { try key.signature(for: $0).rawRepresentation }
            let first = try await client.send("POST", "/oauth2/token", headers: form, body: Self.body(assertion))
            #expect(first.status == 200)
            #expect(try first.json(IssuedTokens.self).refreshToken == nil)
            let again = try await client.send("POST", "/oauth2/token", headers: form, body: Self.body(assertion))
            #expect(again.status == 400)
            #expect(again.body == #"{"error":"invalid_grant","error_description":"The assertion is not valid"}"#)

            let now = Date().timeIntervalSince1970
            #expect(try await send(Claims(), key: P256.Signing.PrivateKey()).status == 400)
            #expect(try await send(Claims(iss: "somebody")).status == 400)
            #expect(try await send(Claims(sub: "nobody")).status == 400)
            #expect(try await send(Claims(aud: "https://elsewhere.example/token")).status == 400)
            #expect(try await send(Claims(iat: now - 900, exp: now - 300)).status == 400)
            #expect(try await send(Claims(iat: now + 900)).status == 400)
            #expect(try await send(Claims(exp: now + 86_400)).status == 400)
            #expect(try await send(Claims()).status == 200)
            let reasons = double.ledger.compactMap { use in
                if case .malformed(let reason) = use.outcome { reason } else { nil }
            }
            #expect(reasons.contains("its assertion has a wrong signature"))
            #expect(reasons.contains("its assertion has been used before"))
            #expect(reasons.contains("its assertion has expired"))
        }
    }

    @Test func anRS256AssertionIsTakenAndOtherAlgorithmsAreNot() async throws {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        var configuration = DoubleConfiguration(.jwtBearer)
        configuration.assertionKey = key.publicKey.pemRepresentation
        try await withDouble(configuration) { double, client in
            double.grant("alice")
            func send(_ algorithm: String, _ signature: (Data) throws -> Data) async throws -> Int {
                let assertion = try Self.sign(Claims(), algorithm: algorithm, signature)
                return try await client.send(
                    "POST", "/oauth2/token", headers: form, body: Self.body(assertion)
                ).status
            }
            let status = try await send("RS256") {
                try key.signature(for: SHA256.hash(data: $0), padding: .insecurePKCS1v1_5).rawRepresentation
            }
            #expect(status == 200)
            #expect(try await send("none") { _ in Data("x".utf8) } == 400)
            // The public key as a secret: the old confusion of algorithms.
            let confused = try await send("HS256") {
                Data(
                    HMAC<SHA256>.authenticationCode(
                        for: $0, using: SymmetricKey(data: Data(key.publicKey.pemRepresentation.utf8))))
            }
            #expect(confused == 400)
            let missing = try await client.send(
                "POST", "/oauth2/token", headers: form, body: "grant_type=\(Self.grant)")
            #expect(missing.status == 400 && missing.body.contains("invalid_request"))
        }
    }
}
