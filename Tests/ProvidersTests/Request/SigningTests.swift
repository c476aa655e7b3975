import Crypto
import CryptoExtras
import FoundationEssentials
import JSONText
import RefreshCore
import Subprocess
import Testing

@testable import Providers

struct SigningTests {
    private static let moment = WallTime(milliseconds: 1_800_000_000_000)

    /// The signing input of RFC 7515 Appendix A.1, whose own key is no text; as openssl dgst -sha256 -hmac computes it.
    @Test func hs256() throws {
        let key = try SigningKey(.hs256, key: Secret("0123456789abcdef0123456789abcdef"))
        let input =
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        #expect(
            HTTPText.hexadecimal(try key.signature(of: Array(input.utf8)))
                == "1cab55caafeb14f95dc743cbb1a2e0d059797784bb22b65b685175205eaa6a77")
    }

    private struct Parts {
        var header: JSONValue
        var claims: JSONValue
        var signed: [UInt8]
        var signature: [UInt8]

        init(_ token: String) throws {
            let parts = token.split(separator: ".")
            try #require(parts.count == 3)
            header = try JSONReader.parse(try #require(HTTPText.base64URLDecoded(parts[0])))
            claims = try JSONReader.parse(try #require(HTTPText.base64URLDecoded(parts[1])))
            signed = Array("\(parts[0]).\(parts[1])".utf8)
            signature = try #require(HTTPText.base64URLDecoded(parts[2]))
        }
    }

    private func definition(_ algorithm: String, keyFile: String) throws -> ProviderDefinition {
        let catalog = try readProviders(
            """
            providers:
              p:
                preset: jwt_bearer
                token_url: https://h/token
                account_fields: [subject]
                signing: { algorithm: \(algorithm), key_file: \(keyFile), key_id: k1 }
                assertion:
                  issuer: me@project
                  subject: "{{ account.subject }}"
                  audience: https://h/token
                  lifetime: 10m
                  claims: { scope: a b, n: 5, list: [x] }
            """)
        return try #require(catalog[name("p")])
    }

    /// The assertion in the body of the request.
    private func assertion(_ definition: ProviderDefinition, field: String = "assertion") throws -> String {
        let credential: AccountCredential =
            definition.accountFields == nil
            ? .refreshToken(Secret("r")) : .fields(AccountFields(["subject": Secret("user@x")]))
        let request = try RequestComposer(
            definition: definition, credential: credential, moment: Self.moment, uuid: "uuid-1"
        ).compose()
        let fields = (request.body ?? "").split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) }
        return String(try #require(fields.first { $0.first == Substring(field) }?.last))
    }

    private func file(_ text: String) throws -> String {
        let path = "/tmp/perennial-signing-\(UUID().uuidString).pem"
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    /// A program that none of us wrote verifies what was signed.
    private func opensslVerifies(
        _ signed: [UInt8], _ signature: [UInt8], publicKey: String
    ) async throws -> Bool {
        let paths = [try file(""), try file(""), try file(publicKey)]
        defer { for path in paths { try? FileManager.default.removeItem(atPath: path) } }
        try Data(signed).write(to: URL(filePath: paths[0]))
        try Data(signature).write(to: URL(filePath: paths[1]))
        let result = try await Subprocess.run(
            .name("openssl"),
            arguments: ["dgst", "-sha256", "-verify", paths[2], "-signature", paths[1], paths[0]],
            output: .discarded, error: .discarded)
        return result.terminationStatus.isSuccess
    }

    @Test func rs256() async throws {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        let path = try file(key.pemRepresentation)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let parts = try Parts(try assertion(try definition("RS256", keyFile: path)))
        #expect(
            parts.header
                == .object([
                    .init(name: "alg", value: .string("RS256")), .init(name: "typ", value: .string("JWT")),
                    .init(name: "kid", value: .string("k1")),
                ]))
        #expect(
            parts.claims
                == .object([
                    .init(name: "iss", value: .string("me@project")), .init(name: "sub", value: .string("user@x")),
                    .init(name: "aud", value: .string("https://h/token")),
                    .init(name: "iat", value: .integer(1_800_000_000)),
                    .init(name: "exp", value: .integer(1_800_000_600)), .init(name: "jti", value: .string("uuid-1")),
                    .init(name: "scope", value: .string("a b")), .init(name: "n", value: .integer(5)),
                    .init(name: "list", value: .array([.string("x")])),
                ]))
        #expect(try await opensslVerifies(parts.signed, parts.signature, publicKey: key.publicKey.pemRepresentation))
        #expect(
            !(try await opensslVerifies(parts.signed + [0], parts.signature, publicKey: key.publicKey.pemRepresentation))
        )
    }

    @Test func es256() async throws {
        let key = P256.Signing.PrivateKey()
        let path = try file(key.pemRepresentation)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let parts = try Parts(try assertion(try definition("ES256", keyFile: path)))
        // R and S as 32 bytes each (RFC 7518 §3.4); openssl wants them as DER.
        #expect(parts.signature.count == 64)
        let der = try P256.Signing.ECDSASignature(rawRepresentation: Data(parts.signature)).derRepresentation
        #expect(try await opensslVerifies(parts.signed, Array(der), publicKey: key.publicKey.pemRepresentation))
    }

    @Test func clientsAuthenticateWithAssertions() throws {
        let key = P256.Signing.PrivateKey()
        let path = try file(key.pemRepresentation)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let catalog = try readProviders(
            """
            providers:
              k: { token_url: "https://h/token?x=1", client_id: c, client_auth: private_key_jwt, signing: { algorithm: ES256, key_file: \(path) } }
              s: { token_url: https://h/token, client_id: c, client_auth: client_secret_jwt, client_secret: 0123456789abcdef0123456789abcdef, client_assertion: { audience: https://h/ } }
            """)
        let signed = try #require(catalog[name("k")])
        let request = try RequestComposer(
            definition: signed, credential: .refreshToken(Secret("r")), moment: Self.moment, uuid: "u"
        ).compose()
        #expect(
            request.body?.hasPrefix(
                "grant_type=refresh_token&refresh_token=r&client_id=c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=ey"
            ) == true)
        let parts = try Parts(try assertion(signed, field: "client_assertion"))
        #expect(parts.claims["iss"] == .string("c"))
        #expect(parts.claims["sub"] == .string("c"))
        #expect(parts.claims["aud"] == .string("https://h/token"))
        let signature = try P256.Signing.ECDSASignature(rawRepresentation: Data(parts.signature))
        #expect(key.publicKey.isValidSignature(signature, for: Data(parts.signed)))
        let shared = try Parts(try assertion(try #require(catalog[name("s")]), field: "client_assertion"))
        #expect(shared.claims["aud"] == .string("https://h/"))
        let expected = HMAC<SHA256>.authenticationCode(
            for: Data(shared.signed), using: SymmetricKey(data: Data("0123456789abcdef0123456789abcdef".utf8)))
        #expect(Array(expected) == shared.signature)
    }

    @Test func eachAssertionNamesTheEndpointAsItIsCalledAndItself() throws {
        let catalog = try readProviders(
            """
            providers:
              p:
                preset: jwt_bearer
                token_url: "https://h/{{ vars.tenant }}/token?x=1"
                client_id: c
                client_auth: private_key_jwt
                vars: { tenant: "a b" }
                signing: { algorithm: HS256, key: 0123456789abcdef0123456789abcdef }
                assertion: { issuer: i, subject: s, audience: https://h/ }
            """)
        let definition = try #require(catalog[name("p")])
        let body = try #require(
            try RequestComposer(
                definition: definition, credential: .fields(AccountFields([:])), moment: Self.moment, uuid: "u"
            ).compose().body)
        let parameters = Dictionary(
            body.split(separator: "&").map { pair in
                let parts = pair.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            }, uniquingKeysWith: { first, _ in first })
        let grant = try Parts(try #require(parameters["assertion"]))
        let client = try Parts(try #require(parameters["client_assertion"]))
        #expect(client.claims["aud"] == .string("https://h/a%20b/token"))
        #expect(grant.claims["jti"] == .string("u"))
        #expect(client.claims["jti"] != nil)
        #expect(client.claims["jti"] != grant.claims["jti"])
    }

    @Test func keysThatAreNoneAreRefused() throws {
        let elliptic = P256.Signing.PrivateKey().pemRepresentation
        for (algorithm, key, expected) in [
            (SigningKey.Algorithm.rs256, elliptic, "is not an RSA private key"), (.rs256, "hunter", "is not an RSA"),
            (.es256, "-----BEGIN PRIVATE KEY-----\nhunter\n-----END PRIVATE KEY-----", "is not a P-256 private key"),
            (.hs256, "hunter", "is shorter than the 32 bytes"),
        ] {
            do {
                _ = try SigningKey(algorithm, key: Secret(key))
                Issue.record("taken")
            } catch {
                #expect(error.description.hasPrefix(expected))
                #expect(!error.description.contains("hunter"))
            }
        }
    }
}
