import Crypto
import CurlClient
import FoundationEssentials
import JSONText
import NIOConcurrencyHelpers
import RefreshCore
import Testing

@testable import Providers

/// Trap 6: nothing of an earlier request is found in a later one, the re-send of a recovery included.
struct EverySendIsBuiltAnewTests {
    private final class MovableTime: TimeSource {
        private let now = NIOLockedValueBox(WallTime(milliseconds: 1_800_000_000_000))

        func advance(by duration: Duration) { now.withLockedValue { $0 = $0 + duration } }
        func wall() -> WallTime { now.withLockedValue { $0 } }
        func monotonic() -> MonotonicTime { MonotonicTime(nanoseconds: 1_000_000_000) }
        func sleep(until deadline: MonotonicTime) async throws {}
    }

    private func catalog() throws -> ProviderCatalog {
        try readProviders(
            """
            providers:
              pixiv: { preset: pixiv, client_id: c, client_secret: s, vars: { hash_secret: pixiv-hash } }
              grant:
                preset: jwt_bearer
                token_url: https://h/t
                signing: { algorithm: HS256, key: 0123456789abcdef0123456789abcdef }
                assertion: { issuer: me, subject: you, audience: https://h/t }
              client:
                token_url: https://h/t
                client_id: c
                client_auth: client_secret_jwt
                client_secret: 0123456789abcdef0123456789abcdef
              proven:
                token_url: https://h/t
                client_id: c
                vars: { key: proof-key }
                computed: { proof: "{{ hmac_sha256(now.milliseconds + refresh_token, vars.key) }}" }
                headers: { Authorization: "Proof {{ computed.proof }}", X-Request: "{{ uuid }}" }
            """)
    }

    /// Two sends of one account, ten minutes apart, by one client; the second one carries another refresh token.
    private func sends(_ provider: String, _ tokens: [String], isRecovery: Bool = true) async throws -> [CurlRequest] {
        let time = MovableTime()
        let catalog = try catalog()
        let definition = try #require(catalog[name(provider)])
        let transport = RecordingTransport(.success(CurlResponse(status: 200)))
        let client = TokenEndpointClient(catalog: catalog, transport: transport, time: time)
        var requests: [CurlRequest] = []
        for (number, token) in tokens.enumerated() {
            if number > 0 { time.advance(by: .seconds(600)) }
            var claim = try claim(provider: definition.name, refreshToken: token)
            claim.isRecovery = number > 0 && isRecovery
            let now = time.monotonic()
            _ = await client.spend(
                claim, policy: definition.refreshPolicy, sendBy: now + .seconds(1), deadline: now + .seconds(7))
            requests.append(try #require(transport.request))
        }
        return requests
    }

    private func header(_ name: String, _ request: CurlRequest) -> String {
        request.headers.first { $0.name == name }?.value ?? ""
    }

    private func body(_ request: CurlRequest) -> String { String(decoding: request.body ?? [], as: UTF8.self) }

    @Test(arguments: [false, true])
    func timesHashesAndTokens(isRecovery: Bool) async throws {
        let requests = try await sends("pixiv", ["refresh-1", "refresh-2"], isRecovery: isRecovery)
        let times = ["2027-01-15T08:00:00+00:00", "2027-01-15T08:10:00+00:00"]
        #expect(requests.map { header("X-Client-Time", $0) } == times)
        let hashes = times.map { time in
            HTTPText.hexadecimal(Array(Insecure.MD5.hash(data: Data("\(time)pixiv-hash".utf8))))
        }
        #expect(requests.map { header("X-Client-Hash", $0) } == hashes)
        #expect(body(requests[0]).contains("refresh_token=refresh-1&"))
        #expect(body(requests[1]).contains("refresh_token=refresh-2&"))
        #expect(!body(requests[1]).contains("refresh-1"))
    }

    @Test func proofsInHeaders() async throws {
        let requests = try await sends("proven", ["refresh-1", "refresh-2"])
        let expected = [("1800000000000", "refresh-1"), ("1800000600000", "refresh-2")].map { time, token in
            let code = HMAC<SHA256>.authenticationCode(
                for: Data("\(time)\(token)".utf8), using: SymmetricKey(data: Data("proof-key".utf8)))
            return "Proof \(HTTPText.hexadecimal(Array(code)))"
        }
        #expect(requests.map { header("Authorization", $0) } == expected)
        #expect(Set(requests.map { header("X-Request", $0) }).count == 2)
    }

    /// The claims of the signed assertion in a form.
    private func claims(_ request: CurlRequest, _ field: String) throws -> JSONValue {
        let pair = try #require(body(request).split(separator: "&").first { $0.hasPrefix("\(field)=") })
        let parts = pair.dropFirst(field.count + 1).split(separator: ".")
        try #require(parts.count == 3)
        return try JSONReader.parse(try #require(HTTPText.base64URLDecoded(parts[1])))
    }

    /// RFC 7523 §3: a server may refuse an assertion whose `jti` it has seen, or that has expired.
    @Test(arguments: [("grant", "assertion"), ("client", "client_assertion")])
    func assertions(provider: String, field: String) async throws {
        let secret = provider == "grant" ? AccountCredential.fields(AccountFields([:])).secret.reveal() : "refresh"
        let all = try await sends(provider, [secret, secret, secret]).map { try claims($0, field) }
        #expect(all.map { $0["iat"] } == [0, 600, 1200].map { .integer(1_800_000_000 + $0) })
        let identifiers = all.map { "\(String(describing: $0["jti"]))" }
        #expect(Set(identifiers).count == 3)
        #expect(!identifiers.contains("nil"))
    }
}
