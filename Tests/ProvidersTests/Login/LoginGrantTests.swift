import CurlClient
import RefreshCore
import Testing

@testable import Providers

struct LoginGrantTests {
    private static let yaml = """
        providers:
          p:
            token_url: "https://h/t"
            client_id: me
            login:
              authorization_url: "https://h/authorize"
              issuer: "https://h"
              account_id: id_token:/email
              account_name: /user/name
        """

    private static func token(_ claims: String) -> String {
        let parts = [#"{"alg":"none"}"#, claims].map { HTTPText.base64URL(Array($0.utf8)) }
        return parts.joined(separator: ".") + ".sig"
    }

    private func grant(_ body: String, status: Int = 200, nonce: String? = "n1") throws -> LoginGrant {
        let catalog = try readProviders(Self.yaml)
        let definition = try #require(catalog[name("p")])
        return try LoginGrant(answer(status, body), definition, catalog: catalog, nonce: nonce)
    }

    private func body(_ claims: String, refresh: Bool = true) -> String {
        let token = refresh ? #""refresh_token":"r","# : ""
        return
            #"{"access_token":"a",\#(token)"expires_in":60,"id_token":"\#(Self.token(claims))","user":{"name":"Ann"}}"#
    }

    private let claims =
        #"{"iss":"https://h","aud":["x","me"],"nonce":"n1","email":"ann@example.com","exp":1800000060}"#

    @Test func `tokens, account and name are read`() throws {
        let grant = try grant(body(claims))
        #expect(grant.credentials.refreshToken == Secret("r") && grant.credentials.accessToken == Secret("a"))
        #expect(grant.credentials.expiresAt == requestedAt + .seconds(60))
        #expect(grant.accountID == "ann@example.com" && grant.accountName == "Ann")
    }

    private func failure(_ body: String, status: Int = 200, nonce: String? = "n1") -> LoginError? {
        do {
            _ = try grant(body, status: status, nonce: nonce)
            return nil
        } catch { return error as? LoginError }
    }

    /// Keycloak's `refresh_expires_in`: the end of the grant is announced from the log-in on.
    @Test func `the end of the grant is read`() throws {
        let told = body(claims).replacing(#""expires_in":60"#, with: #""expires_in":60,"refresh_expires_in":2592000"#)
        #expect(try grant(told).credentials.grantExpiresAt == requestedAt + .seconds(30 * 86_400))
        #expect(try grant(body(claims)).credentials.grantExpiresAt == nil)
    }

    /// It is judged when it came: an answer that waited for the store is as good as it was.
    @Test func `an ID token may have ended since it came`() throws {
        var late = answer(200, body(claims))
        late.requestedAt = WallTime(seconds: 1_800_000_060 - 3600)
        let catalog = try readProviders(Self.yaml)
        let definition = try #require(catalog[name("p")])
        #expect(throws: Never.self) { try LoginGrant(late, definition, catalog: catalog, nonce: "n1") }
        late.requestedAt = WallTime(seconds: 1_800_000_060 + 3600)
        let error = #expect(throws: LoginError.self) {
            try LoginGrant(late, definition, catalog: catalog, nonce: "n1")
        }
        #expect(error?.code == .idToken)
    }

    @Test func `an answer is kept as long as tokens would be lost with it`() {
        func isKept(_ body: String, status: Int = 200) -> Bool? {
            failure(body, status: status).map { answer(status, body).isWorthKeeping(after: $0) }
        }
        // The tokens are good, and what is held against them may be the configuration's fault.
        #expect(isKept(body(claims.replacing("https://h", with: "https://other"))) == true)
        #expect(isKept(#"{"access_token":"a","refresh_token":"r"}"#) == true)
        // The places may be wrong.
        #expect(isKept(#"{"access_token":"a","data":{"refreshToken":"r"}}"#) == true)
        #expect(isKept(#"{"data":{"jwt":"0123456789abcdef"}}"#) == true)
        #expect(isKept(#"{"access_token":"cut o"#) == true)
        // Nothing to keep fresh.
        #expect(isKept(#"{"access_token":"0123456789abcdef","refresh_expires_in":"60"}"#) == false)
        for nothing in [
            "", " ", "{}", "[]", "<html>0123456789abcdef</html>", #"{"error":"bad_verification_code"}"#,
            #"{"error":"x","error_uri":"https://docs.example/0123456789abcdef"}"#,
            #"{"error":{"code":"refresh_token_invalidated"}}"#, #"{"message":"come back some other day"}"#,
        ] { #expect(isKept(nothing) == false, "\(nothing)") }
        #expect(isKept(body(claims), status: 500) == false)
    }

    @Test func `an ID token of another log-in is refused`() {
        for other in [
            claims.replacing("https://h", with: "https://evil"), claims.replacing("\"me\"", with: "\"you\""),
            claims.replacing("n1", with: "n2"), claims.replacing("1800000060", with: "1799999000"),
            claims.replacing(#""nonce":"n1","#, with: ""),
        ] { #expect(failure(body(other))?.code == .idToken, "\(other)") }
        #expect(failure(#"{"access_token":"a","refresh_token":"r"}"#)?.code == .idToken)
        #expect(failure(#"{"access_token":"a","refresh_token":"r","id_token":"x.y"}"#)?.code == .idToken)
        #expect(failure(body(claims.replacing("n1", with: "other")), nonce: nil) == nil)
    }

    @Test func `refusals are explained and hold no secret`() {
        #expect(failure(body(claims, refresh: false))?.code == .noRefreshToken)
        let refused = failure(#"{"error":"invalid_grant","error_description":"code expired"}"#, status: 400)
        #expect(refused?.code == .refused && refused?.description.contains("code expired") == true)
        #expect(failure(#"{"error":"invalid_client"}"#, status: 401)?.code == .refused)
        #expect(failure("<html>", status: 200)?.code == .malformed)
        #expect(failure("", status: 500)?.code == .malformed)
        #expect(failure("{}", status: 429)?.code == .refused)
    }

    @Test func `the code is sent once, as the provider wants it`() async throws {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: "https://h/t"
                client_id: me
                client_secret: "s3cr3t"
                client_auth: basic
                login:
                  authorization_url: "https://h/a"
                  exchange: { token_url: "https://h/code", request_format: json, params: { x: y }, headers: { X-A: b }, include_state: true }
            """)
        let definition = try #require(catalog[name("p")])
        let request = AuthorizationRequest(
            definition, authorizationURL: "https://h/a", redirectURI: RedirectURI.standard.with(port: 9), scope: nil)
        let transport = RecordingTransport(
            .success(CurlResponse(status: 400, body: Array(#"{"error":"no such code c0de-123"}"#.utf8))))
        let client = LoginClient(
            definition, route: RequestRoute(nil, definition: definition), transport: transport, time: FixedTime())
        guard case .answered(let response) = await client.exchange(Secret("c0de-123"), for: request) else {
            Issue.record("no answer")
            return
        }
        // An error that quotes the code loses it.
        #expect(String(decoding: response.body, as: UTF8.self) == #"{"error":"no such code ***"}"#)
        let sent = try #require(transport.request)
        #expect(sent.url == "https://h/code" && sent.singleSend)
        let body = String(decoding: sent.body ?? [], as: UTF8.self)
        for part in [
            #""grant_type":"authorization_code""#, #""code":"c0de-123""#,
            #""redirect_uri":"http://127.0.0.1:9/callback""#, #""code_verifier":"\#(request.pkce.verifier.reveal())""#,
            #""state":"\#(request.state)""#, #""x":"y""#,
        ] { #expect(body.contains(part), "\(part)") }
        #expect(!body.contains("client_id") && !body.contains("s3cr3t"))
        #expect(sent.headers.contains { $0.name == "X-A" && $0.value == "b" })
        #expect(sent.headers.contains { $0.name == "Authorization" && $0.value.hasPrefix("Basic ") })
    }
}
