import RefreshCore
import Testing

@testable import Providers

struct LoginDefinitionTests {
    private func provider(_ lines: String) -> String {
        "providers: { p: { token_url: \"https://h/t\", client_id: c, \(lines) } }"
    }

    @Test(arguments: [
        ("login: { authorization_url: \"http://h/a\" }", "login.authorization_url", "use https://"),
        ("login: { flow: sms }", "login.flow", "loopback, paste, device"),
        ("login: { redirect_uri: \"http://h/cb\" }", "login.redirect_uri", "another machine"),
        ("login: { redirect_ports: [0] }", "login.redirect_ports", "1 to 65535"),
        ("login: { redirect_uri: \"http://127.0.0.1:7/cb\", redirect_ports: [8] }", "redirect_ports", "not used"),
        ("login: { params: { state: x } }", "login.params.state", "made with the request"),
        ("login: { exchange: { params: { code: x } } }", "exchange.params.code", "made with the request"),
        ("login: { exchange: { headers: { Authorization: x } } }", "headers.Authorization", "cannot be set"),
        ("login: { account_id: email }", "login.account_id", "id_token:/email"),
        ("login: { authorisation_url: \"https://h\" }", "login.authorisation_url", "did you mean authorization_url?"),
        ("proxy: s3cret", "proxy", "is no URL"),
        ("proxy: { username: u }", "proxy", "needs url"),
        ("proxy: { url: \"http://h:1\", password: s3cret }", "proxy.url", "no user name"),
        ("proxy: { url: \"http://h:1\", username: u, password: a, password_file: b }", "password_file", "not both"),
        ("proxy: { url: \"http://h:1\", pasword: a }", "pasword", "did you mean password?"),
    ]) func `mistakes are named`(lines: String, key: String, words: String) {
        let issues = providerIssues(provider(lines))
        #expect(issues.count == 1 && issues[0].contains(key) && issues[0].contains(words), "\(issues)")
        #expect(!issues.joined().contains("s3cret"))
    }

    @Test func `a flow needs what it needs`() throws {
        let p = try name("p")
        func login(_ lines: String) throws -> LoginDefinition {
            try #require(try readProviders(provider("login: { \(lines) }"))[p]).login
        }
        #expect(try login("").standardFlow == nil)
        let code = try login("authorization_url: \"https://h/a\"")
        #expect(code.standardFlow == .loopback && code.obstacle(to: .loopback, provider: p) == nil)
        #expect(code.obstacle(to: .paste, provider: p)?.contains("providers.p.login.redirect_uri") == true)
        #expect(code.obstacle(to: .device, provider: p)?.contains("device_authorization_url") == true)
        let shown = try login("authorization_url: \"https://h/a\", redirect_uri: \"https://h/show\"")
        #expect(shown.standardFlow == .paste && shown.obstacle(to: .paste, provider: p) == nil)
        #expect(shown.obstacle(to: .loopback, provider: p)?.contains("--paste") == true)
        let device = try login("device_authorization_url: \"https://h/d\"")
        #expect(device.standardFlow == .device && device.obstacle(to: .device, provider: p) == nil)
        #expect(try login("authorization_url: \"https://h/a\", flow: device").standardFlow == .device)
    }

    @Test func `settings show no secret`() throws {
        let catalog = try readProviders(
            provider(
                "proxy: \"http://ann:hunter2@h:1\", login: { authorization_url: \"https://h/a?key=hunter2\", "
                    + "params: { k: hunter2 }, exchange: { params: { k: hunter2 }, headers: { X: hunter2 } } }"))
        let settings = try #require(catalog[name("p")]).settings
        #expect(!settings.map { "\($0.key)=\($0.value)" }.joined().contains("hunter2"))
        #expect(settings.contains { $0.key == "proxy" && $0.value == "http://h:1 (credentials set)" })
        #expect(settings.contains { $0.key == "login.flow" && $0.value == "loopback" })
    }

    @Test func `the account's proxy wins over the provider's`() throws {
        let catalog = try readProviders(provider("proxy: \"http://ann:pw@h:1\""))
        let definition = try #require(catalog[name("p")])
        #expect(RequestRoute(nil, definition: definition).proxy?.url == "http://h:1")
        #expect(RequestRoute(.direct, definition: definition).proxy == nil)
        #expect(RequestRoute(try ProxySetting("socks5://o:2"), definition: definition).proxy?.url == "socks5://o:2")
        let bare = try #require(try readProviders(provider("proxy: direct"))[name("p")])
        #expect(RequestRoute(nil, definition: bare).proxy == nil)
    }
}
