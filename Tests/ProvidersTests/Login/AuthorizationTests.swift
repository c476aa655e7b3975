import RefreshCore
import Testing

@testable import Providers

struct AuthorizationTests {
    static func definition(_ login: String = "") throws -> ProviderDefinition {
        let catalog = try readProviders(
            """
            providers:
              p:
                token_url: "https://h/t"
                client_id: "client id"
                scope: openid all
                login: { authorization_url: "https://h/authorize?tenant=1", issuer: "https://h", params: { prompt: "a b&c" }\(login) }
            """)
        return try #require(catalog[name("p")])
    }

    static func request(_ login: String = "") throws -> AuthorizationRequest {
        let definition = try definition(login)
        return AuthorizationRequest(
            definition, authorizationURL: definition.login.authorizationURL ?? "",
            redirectURI: RedirectURI.standard.with(port: 1234), scope: nil)
    }

    /// RFC 7636 Appendix B.
    @Test func `the challenge is that of the RFC's own example`() {
        let pkce = PKCE(verifier: Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        #expect(pkce.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        #expect(PKCE().verifier.reveal().utf8.count == 43)
        #expect(PKCE().verifier != PKCE().verifier)
    }

    @Test func `the address asks for a code and repeats nothing`() throws {
        let request = try Self.request()
        #expect(
            request.url.hasPrefix(
                "https://h/authorize?tenant=1&response_type=code&client_id=client%20id"
                    + "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1234%2Fcallback&state="))
        for part in [
            "&code_challenge=\(request.pkce.challenge)", "&code_challenge_method=S256", "&scope=openid%20all",
            "&nonce=\(request.nonce ?? "none")", "&prompt=a%20b%26c", "&state=\(request.state)&",
        ] { #expect(request.url.contains(part), "\(part) in \(request.url)") }
        #expect(!request.url.contains(request.pkce.verifier.reveal()))
        let other = try Self.request()
        #expect(other.state != request.state && other.nonce != request.nonce)
    }

    @Test func `the answer to this request holds the code`() throws {
        let request = try Self.request()
        let query = "code=4%2F0A%2Bb&state=\(request.state)&iss=https%3A%2F%2Fh"
        #expect(try request.code(fromQuery: Substring(query)).reveal() == "4/0A+b")
    }

    private func failure(_ query: String, _ request: AuthorizationRequest) -> LoginError? {
        do throws(LoginError) {
            _ = try request.code(fromQuery: Substring(query))
            return nil
        } catch { return error }
    }

    @Test func `answers of others are told from errors`() throws {
        let request = try Self.request()
        let state = request.state
        for (query, code) in [
            ("code=c&state=x", LoginError.Code.wrongState), ("code=c", .wrongState), ("", .wrongState),
            ("code=c&state=\(state)x", .wrongState), ("code=c&code=d&state=\(state)", .wrongState),
            ("code=%zz&state=\(state)", .wrongState), ("error=access_denied&state=x", .wrongState),
            ("code=c&state=\(state)&iss=https%3A%2F%2Fevil", .wrongIssuer),
            ("error=access_denied&state=\(state)", .denied), ("error=server_error&state=\(state)", .refused),
            ("state=\(state)", .malformed), ("code=&state=\(state)", .malformed),
            ("code=a%0Ab&state=\(state)", .malformed),
        ] { #expect(failure(query, request)?.code == code, "\(query)") }
        // A description is made fit to be shown, and a code is never in it.
        let shown = failure(
            "error=invalid_request&error_description=%1B%5B31mno%0Aeyj0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9xyz&state=\(state)",
            request)
        #expect(shown?.description == "the provider refused the log-in: invalid_request: [31mno ***")
        #expect(
            failure("error=\(String(repeating: "Aa1", count: 20))&state=\(state)", request)?.description.contains("Aa1")
                == false)
    }

    @Test func `what is pasted may be the code, the code with its state, or the address`() throws {
        let request = try Self.request()
        let state = request.state
        for text in [
            "abc", "  abc\n", "abc#\(state)", "http://127.0.0.1:1/callback?code=abc&state=\(state)",
            "https://h/show?code=abc&state=\(state)#top", "?code=abc&state=\(state)", "code=abc&state=\(state)",
        ] { #expect(try request.code(fromPasted: text).reveal() == "abc", "\(text)") }
        for (text, code) in [
            ("", LoginError.Code.malformed), ("abc#other", .wrongState),
            ("https://h/?code=abc&state=other", .wrongState),
            ("https://h/?error=access_denied&state=\(state)", .denied), ("#\(state)", .malformed),
            (String(repeating: "a", count: 8193), .malformed),
        ] {
            do throws(LoginError) {
                _ = try request.code(fromPasted: text)
                Issue.record("\(text) was taken")
            } catch { #expect(error.code == code, "\(text)") }
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1/callback", true, nil as Int?, "/callback", "http://127.0.0.1:7/callback"),
        ("http://localhost:1455/auth/callback", true, 1455, "/auth/callback", "http://localhost:7/auth/callback"),
        ("http://[::1]:80", true, 80, "/", "http://[::1]:7"),
        ("http://127.0.0.1", true, nil, "/", "http://127.0.0.1:7"),
        ("https://h/oauth/code/callback", false, nil, "", ""), ("urn:ietf:wg:oauth:2.0:oob", false, nil, "", ""),
        ("com.example.app:/back", false, nil, "", ""),
    ]) func `redirect addresses`(text: String, isLoopback: Bool, port: Int?, path: String, with: String) throws {
        let redirect = try RedirectURI(text)
        #expect(redirect.text == text)
        #expect(redirect.isLoopback == isLoopback && redirect.port == port && redirect.path == path)
        if isLoopback { #expect(redirect.with(port: 7).text == with) }
    }

    @Test(arguments: [
        "callback", "", "http://example.com/cb", "http://127.0.0.1/cb#x", "http://127.0.0.1/c b", "https://u:p@h/",
        "http://127.0.0.1/cb?x=1", "http://127.0.0.1:99999/cb", "http://127.0.0.2.example/cb",
    ]) func `addresses that cannot be one`(text: String) {
        #expect(throws: RedirectURI.Malformed.self) { try RedirectURI(text) }
    }
}
