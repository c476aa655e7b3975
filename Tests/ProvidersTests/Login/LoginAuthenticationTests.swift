import CurlClient
import FoundationEssentials
import JSONText
import RefreshCore
import Testing

@testable import Providers

/// How the client proves itself while somebody logs in.
struct LoginAuthenticationTests {
    private static let login =
        "authorization_url: https://h/a, device_authorization_url: https://h/device"

    private func definition(_ keys: String) throws -> ProviderDefinition {
        let catalog = try readProviders("providers:\n  p: { token_url: \"https://h/token\", client_id: me, \(keys) }")
        return try #require(catalog[name("p")])
    }

    private func client(_ definition: ProviderDefinition) -> (LoginClient, RecordingTransport) {
        let body = Array(
            #"{"device_code":"dc","user_code":"A","verification_uri":"https://h/d","expires_in":60}"#.utf8)
        let transport = RecordingTransport(.success(CurlResponse(status: 200, body: body)))
        let client = LoginClient(
            definition, route: RequestRoute(nil, definition: definition), transport: transport, time: FixedTime())
        return (client, transport)
    }

    private func exchange(_ definition: ProviderDefinition) async throws -> CurlRequest {
        let request = AuthorizationRequest(
            definition, authorizationURL: "https://h/a", redirectURI: RedirectURI.standard.with(port: 9), scope: nil)
        let (client, transport) = client(definition)
        _ = await client.exchange(Secret("c0de"), for: request)
        return try #require(transport.request)
    }

    private func form(_ request: CurlRequest) -> [String: String] {
        let pairs = String(decoding: request.body ?? [], as: UTF8.self).split(separator: "&").map {
            $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        }
        return Dictionary(pairs.map { ($0[0], $0[1]) }, uniquingKeysWith: { _, last in last })
    }

    private static let written =
        "client_secret: s3cr3t, request: { form: { grant_type: refresh_token, token: \"{{ refresh_token }}\", "
        + "client_id: \"{{ client_id }}\", client_secret: \"{{ client_secret }}\" } }"

    /// A written body proves the client by itself, and a code's exchange has no written body.
    @Test(arguments: [
        "\(written), login: { \(login) }",
        written.replacing("form:", with: "json:") + ", login: { \(login) }",
        "client_secret: s3cr3t, request: { body: \"x={{ refresh_token }}\" }, "
            + "login: { \(login), exchange: { client_auth: post } }",
        "client_secret: s3cr3t, login: { \(login), exchange: { client_auth: post } }",
        "client_secret: s3cr3t, client_auth: none, login: { \(login), exchange: { client_auth: post } }",
    ]) func `a secret that is taken in the body only`(keys: String) async throws {
        let definition = try definition(keys)
        let code = try await exchange(definition)
        #expect(form(code)["client_id"] == "me" && form(code)["client_secret"] == "s3cr3t")
        #expect(!code.headers.contains { $0.name == "Authorization" })
        let (client, transport) = client(definition)
        let device = try await client.authorizeDevice(at: "https://h/device", scope: nil)
        #expect(form(try #require(transport.request))["client_secret"] == "s3cr3t")
        _ = await client.poll(device)
        #expect(form(try #require(transport.request))["client_secret"] == "s3cr3t")
    }

    @Test func `other ways than that of the refresh`() async throws {
        let none = try await exchange(
            try definition("client_secret: s3cr3t, login: { \(Self.login), exchange: { client_auth: none } }"))
        #expect(form(none)["client_id"] == "me" && form(none)["client_secret"] == nil)
        #expect(!none.headers.contains { $0.name == "Authorization" })
        let basic = try await exchange(
            try definition("\(Self.written), login: { \(Self.login), exchange: { client_auth: basic } }"))
        #expect(form(basic)["client_id"] == nil && form(basic)["client_secret"] == nil)
        #expect(basic.headers.contains { $0.name == "Authorization" && $0.value.hasPrefix("Basic ") })
        // A secret that is only used to compute something is sent to nobody.
        let computed = try await exchange(
            try definition(
                "client_secret: s3cr3t, request: { form: { token: \"{{ refresh_token }}\", "
                    + "sign: \"{{ md5(client_secret) }}\" } }, login: { \(Self.login) }"))
        #expect(form(computed)["client_secret"] == nil)
    }

    @Test(arguments: [
        ("exchange: { client_auth: post }", "post needs client_secret"),
        ("exchange: { client_auth: private_key_jwt }", "needs signing"),
        ("exchange: { client_auth: body }", "is not one of basic, post, none"),
    ]) func `what it needs is named`(exchange: String, words: String) throws {
        let issues = providerIssues(
            "providers:\n  p:\n    token_url: https://h/t\n    client_id: c\n    login:\n      \(exchange)\n")
        #expect(issues.count == 1, "\(issues)")
        #expect(issues[0].hasPrefix("p.yaml:6:") && issues[0].contains(words), "\(issues)")
        #expect(issues[0].contains("providers.p.login.exchange.client_auth"), "\(issues)")
    }

    @Test func `a short secret and a second Authorization are named`() {
        for (keys, words) in [
            ("client_secret: short, login: { exchange: { client_auth: client_secret_jwt } }", "32 bytes"),
            (
                "client_auth: none, headers: { Authorization: x }, client_secret: s, "
                    + "login: { exchange: { client_auth: basic } }", "choose another one"
            ),
        ] {
            let issues = providerIssues("providers: { p: { token_url: https://h/t, client_id: c, \(keys) } }")
            #expect(issues.count == 1 && issues[0].contains(words), "\(issues)")
        }
    }

    @Test func `it is shown`() throws {
        let shown = try definition("client_secret: s, login: { \(Self.login), exchange: { client_auth: post } }")
        #expect(shown.yamlLines.contains { $0.contains("client_auth: post") })
        #expect(shown.settings.contains { $0.key == "login.exchange.client_auth" && $0.value == "post" })
    }

    // MARK: Assertions (RFC 7523 §3)

    private func audience(_ request: CurlRequest) throws -> String? {
        let assertion = try #require(form(request)["client_assertion"])
        let claims = try #require(IDToken.claims(assertion))
        return claims["aud"]?.scalarText
    }

    /// The audience is the authorization server, which is known by its token endpoint, wherever the request goes.
    @Test(arguments: [
        ("", "", "https://h/token", "https://h/token"),
        ("client_assertion: { audience: https://h/ }, ", "", "https://h/", "https://h/"),
        ("", "token_url: https://h/code", "https://h/code", "https://h/code"),
    ]) func `assertions name the token endpoint`(
        keys: String, exchange: String, ofDevice: String, ofCode: String
    ) async throws {
        let definition = try definition(
            "client_auth: client_secret_jwt, client_secret: 0123456789abcdef0123456789abcdef, \(keys)"
                + "login: { \(Self.login), exchange: { \(exchange) } }")
        let (client, transport) = client(definition)
        let device = try await client.authorizeDevice(at: "https://h/device", scope: nil)
        #expect(transport.request?.url == "https://h/device")
        #expect(try audience(try #require(transport.request)) == ofDevice)
        _ = await client.poll(device)
        #expect(try audience(try #require(transport.request)) == ofCode)
        #expect(try audience(try await self.exchange(definition)) == ofCode)
    }

    @Test func `the address in an assertion has its values put in`() async throws {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: "https://h/{{ vars.tenant }}/token?x=1"
                vars: { tenant: a b }
                client_id: me
                client_auth: client_secret_jwt
                client_secret: 0123456789abcdef0123456789abcdef
                login: { \(Self.login) }
            """)
        let (client, transport) = client(try #require(catalog[name("p")]))
        _ = try await client.authorizeDevice(at: "https://h/device", scope: nil)
        #expect(try audience(try #require(transport.request)) == "https://h/a%20b/token")
    }
}
