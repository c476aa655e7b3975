import ConfigurationFile
import CurlClient
import Providers
import RefreshCore
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Providers quote what they were sent, whole, cut short or encoded; nothing of it goes further.
struct QuotedSecretTests {
    /// With characters that each encoding changes.
    static let refreshToken = "qW3/eR5+tY7~uI9=oP1.aS2-dF4_gH6%jK8"
    static let clientSecret = "Zx9&Cv8 Bn7\"Ml6\\Kj5:Hg4#Fd3üSa2"

    private static func forms(_ secret: String) -> [String] {
        let bytes = Array(secret.utf8)
        func percent(_ hex: (UInt8) -> String) -> String {
            bytes.map { byte in
                let isPlain =
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                return isPlain ? String(UnicodeScalar(byte)) : "%" + hex(byte)
            }.joined()
        }
        func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        // Behind something else, as in HTTP basic, it is encoded in another way.
        let base64 = ["", "a", "ab"].map { Data(($0 + secret).utf8).base64EncodedString() }
        return [
            secret, String(secret.prefix(14)), String(secret.suffix(14)), String(secret.dropFirst(9).prefix(13)),
            percent { hex($0).uppercased() }, percent(hex), bytes.map(hex).joined(),
            String(percent { hex($0).uppercased() }.prefix(18)), String(bytes.map(hex).joined().prefix(18)),
        ] + base64 + base64.map { String($0.dropFirst(4).prefix(18)) }
            + base64.map { $0.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "") }
    }

    /// What must not be seen: any part of it, as long as those that are looked for, in any form.
    private static func isLeaked(_ secret: String, in text: String) -> Bool {
        let (bytes, text) = (Array(secret.utf8), Array(text.utf8))
        for form in [bytes] + forms(secret).map({ Array($0.utf8) }) where form.count >= 12 {
            for start in 0...(form.count - 12) where text.firstRange(of: form[start..<start + 12]) != nil {
                return true
            }
        }
        return false
    }

    private static func body(_ quoted: String) -> String {
        let escaped = quoted.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return #"{"error":"invalid_grant","error_description":"what is \#(escaped) ?"}"#
    }

    @Test(arguments: [400, 500])
    func anErrorThatQuotesWhatWasSentSaysTheRest(status: Int) async throws {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: https://h/t
                client_id: app
                client_secret: '\(Self.clientSecret)'
            """)
        let provider = try name("p")
        for secret in [Self.refreshToken, Self.clientSecret] {
            for quoted in Self.forms(secret) {
                let response = CurlResponse(
                    status: status, headers: [(name: "WWW-Authenticate", value: "Bearer error=\(quoted)")],
                    body: Array(Self.body(quoted).utf8))
                let client = TokenEndpointClient(
                    catalog: catalog, transport: RecordingTransport(.success(response)), time: FixedTime())
                let policy = try #require(catalog.policy(for: provider))
                let result = await client.spend(
                    try claim(provider: provider, refreshToken: Self.refreshToken), policy: policy,
                    sendBy: MonotonicTime(nanoseconds: 3_000_000_000),
                    deadline: MonotonicTime(nanoseconds: 9_000_000_000))
                guard case .answered(let answer) = result else {
                    Issue.record("\(result)")
                    return
                }
                // The class is the same, and the words around stay.
                let outcome = client.interpret(answer, provider: provider)
                #expect(outcome.kind == (status == 400 ? "refused" : "ambiguous"), "\(outcome)")
                #expect(outcome.message.contains("invalid_grant: what is"), "\(outcome)")
                let masked = try #require(catalog[provider]).masked(answer)
                let explanation = try #require(catalog[provider]).explain(answer)
                for text in [
                    outcome.message, masked.body, masked.headers.map(\.value).joined(separator: " "),
                    explanation.steps.map { $0.text + $0.reason }.joined() + explanation.message,
                ] { #expect(!Self.isLeaked(secret, in: text), "\(quoted): \(text)") }
            }
        }
    }

    /// The body of a 2xx is kept; its headers are not what a token comes in.
    @Test(arguments: [Self.refreshToken, "1//0gQwErTyUiOpAsDfGhJk", "mock-rt-AbCdEf0123456789.zZ_y"])
    func aSuccessThatQuotesWhatWasSentInAHeaderLosesThat(refreshToken: String) async throws {
        let catalog = try readProviders("providers: { p: { token_url: \"https://h/t\", client_id: app } }")
        let provider = try name("p")
        let body = Array(#"{"access_token":"new","refresh_token":"newer"}"#.utf8)
        for quoted in Self.forms(refreshToken) {
            let response = CurlResponse(
                status: 200,
                headers: [
                    (name: "Date", value: "Sun, 22 Nov 2026 01:43:00 GMT"),
                    (name: "X-Echo", value: "you said \(quoted) to me"),
                ], body: body)
            let client = TokenEndpointClient(
                catalog: catalog, transport: RecordingTransport(.success(response)), time: FixedTime())
            let result = await client.spend(
                try claim(provider: provider, refreshToken: refreshToken),
                policy: try #require(catalog.policy(for: provider)), sendBy: MonotonicTime(nanoseconds: 3_000_000_000),
                deadline: MonotonicTime(nanoseconds: 9_000_000_000))
            guard case .answered(let answer) = result else {
                Issue.record("\(result)")
                return
            }
            #expect(answer.body == body)
            #expect(answer.headers.first?.value == "Sun, 22 Nov 2026 01:43:00 GMT")
            let echo = try #require(answer.headers.last?.value)
            #expect(!Self.isLeaked(refreshToken, in: echo), "\(quoted): \(echo)")
            #expect(echo.hasPrefix("you said ") && echo.hasSuffix(" to me"), "\(echo)")
        }
    }

    /// The tokens of a 2xx are kept whole, though a new one may begin like the old one.
    @Test func tokensThatResembleTheOldOneAreKept() async throws {
        let catalog = try readProviders("providers: { p: { token_url: \"https://h/t\", client_id: app } }")
        let next = Self.refreshToken.dropLast(3) + "NEW"
        let response = CurlResponse(
            status: 200, headers: [],
            body: Array(#"{"access_token":"\#(Self.refreshToken)","refresh_token":"\#(next)"}"#.utf8))
        let client = TokenEndpointClient(
            catalog: catalog, transport: RecordingTransport(.success(response)), time: FixedTime())
        let provider = try name("p")
        let result = await client.spend(
            try claim(provider: provider, refreshToken: Self.refreshToken),
            policy: try #require(catalog.policy(for: provider)), sendBy: MonotonicTime(nanoseconds: 3_000_000_000),
            deadline: MonotonicTime(nanoseconds: 9_000_000_000))
        guard case .answered(let answer) = result else {
            Issue.record("\(result)")
            return
        }
        let grant = try #require(client.interpret(answer, provider: provider).grant)
        #expect(grant.accessToken.reveal() == Self.refreshToken)
        #expect(grant.refreshToken?.reveal() == String(next))
    }

    /// A log-in that is refused with 200 may have its password as the error code.
    @Test func aPasswordAsAnErrorCodeIsNotShown() async throws {
        let catalog = try readProviders(
            "providers: { p: { preset: intranet, token_url: \"https://h/t\", response: { access_token: /token } } }")
        let provider = try name("p")
        let fields = AccountCredential.fields(
            AccountFields(["username": Secret("eve"), "password": Secret("hunter-two")]))
        let response = CurlResponse(status: 200, headers: [], body: Array(#"{"code":"hunter-two"}"#.utf8))
        let client = TokenEndpointClient(
            catalog: catalog, transport: RecordingTransport(.success(response)), time: FixedTime())
        let result = await client.spend(
            try claim(provider: provider, refreshToken: fields.secret.reveal()),
            policy: try #require(catalog.policy(for: provider)), sendBy: MonotonicTime(nanoseconds: 3_000_000_000),
            deadline: MonotonicTime(nanoseconds: 9_000_000_000))
        guard case .answered(let answer) = result else {
            Issue.record("\(result)")
            return
        }
        let outcome = client.interpret(answer, provider: provider)
        #expect(outcome.kind == "ambiguous" && !outcome.message.contains("hunter"), "\(outcome)")
    }

    /// Whoever has a signed assertion is let in until it ends.
    @Test func aQuotedAssertionIsNotShown() async throws {
        let catalog = try presetCatalog()
        let provider = try name("jwt_bearer")
        let policy = try #require(catalog.policy(for: provider))
        let fields = AccountCredential.fields(AccountFields()).secret.reveal()
        func spend(_ transport: RecordingTransport) async throws -> ExchangeResult {
            await TokenEndpointClient(catalog: catalog, transport: transport, time: FixedTime()).spend(
                try claim(provider: provider, refreshToken: fields), policy: policy,
                sendBy: MonotonicTime(nanoseconds: 3_000_000_000), deadline: MonotonicTime(nanoseconds: 9_000_000_000))
        }
        let first = RecordingTransport(.success(CurlResponse(status: 500)))
        _ = try await spend(first)
        let form = String(decoding: try #require(first.request?.body), as: UTF8.self)
        let assertion = String(
            try #require(form.split(separator: "&").first { $0.hasPrefix("assertion=") }).dropFirst(10))
        #expect(assertion.split(separator: ".").count == 3)
        // The time stands still, so the next assertion differs in its id at most, which stands in the middle.
        let quoted = [String(assertion.prefix(14)), String(assertion.prefix(30))].joined(separator: " ")
        let result = try await spend(
            RecordingTransport(.success(CurlResponse(status: 400, body: Array(Self.body(quoted).utf8)))))
        guard case .answered(let answer) = result else {
            Issue.record("\(result)")
            return
        }
        let outcome = try #require(catalog.interpret(answer, provider: provider))
        #expect(outcome.kind == "refused" && outcome.message.hasSuffix("what is *** *** ?"), "\(outcome)")
    }
}
