import CurlClient
import Glibc
import MockProvider
import PerennialServers
import Testing

/// `perennial login`, where the browser comes back to this machine.
@Suite(.timeLimit(.minutes(5)))
struct LoopbackLoginTests {
    @Test func aNewAccountIsAddedAndRefreshes() async throws {
        try await LoginSite.run { site in
            let login = try await site.login(["--pool", "shared", "--tier", "personal"])
            let page = try await site.browse(try await site.address(login))
            #expect(page.body.contains("You are logged in") && page.body.contains("Account alice is stored"))
            #expect(try await site.end(of: login) == 0, "\(login.log)")
            #expect(login.log.contains("alice: added, generation 1"))
            let account = try await site.account("alice")
            #expect(
                account.contains(#""name":"User alice""#) && account.contains(#""pool":"shared","tier":"personal""#))
            #expect(try await site.perennial("refresh", "alice").output.contains("refreshed, generation 2"))
            #expect(site.keptLogins == [])
            #expect(site.expectNoSecrets(login) == [])
        }
    }

    /// Failures are forgotten and the schedule resumes, with an instance running that gets the news.
    @Test func aDeadAccountLivesAgainUnderARunningInstance() async throws {
        try await LoginSite.run { site in
            let instance = try await PerennialInstance.start(site.workshop, configuration: site.configuration)
            let seed = try await site.mock.seedOne("other-", isExpired: true)
            let dead = MockAccountLine(
                id: "alice", provider: "mock", refreshToken: seed.refreshToken + "0", accessToken: nil, expiresAt: nil)
            try await instance.put(dead, site.workshop.http)
            let url = "\(instance.origin)/v1/accounts/alice/token"
            #expect(try await site.workshop.http.execute(.init(url: url)).status == 424)
            #expect(try await site.account("alice").contains(#""status":"reauth_required""#))

            let login = try await site.login(["--account", "alice", "--json"])
            _ = try await site.browse(try await site.address(login))
            #expect(try await site.end(of: login) == 0, "\(login.log)")
            #expect(login.log.contains(#"{"account":"alice","outcome":"replaced","generation":2"#), "\(login.log)")
            #expect(try await site.workshop.http.execute(.init(url: url)).status == 200)
            let account = try await site.account("alice")
            #expect(account.contains(#""status":"active""#) && account.contains(#""failures":0"#))
            #expect(!account.contains(#""due_at":null"#))
        }
    }

    @Test func aPauseStaysUnlessItIsToEnd() async throws {
        try await LoginSite.run { site in
            for (number, options) in [[], [], ["--resume"]].enumerated() {
                if number == 1 { _ = try await site.perennial("accounts", "pause", "alice") }
                let login = try await site.login(options)
                _ = try await site.browse(try await site.address(login))
                #expect(try await site.end(of: login) == 0, "\(login.log)")
                #expect(
                    try await site.account("alice").contains(#""status":"disabled""#) == (number == 1), "\(number)")
            }
        }
    }

    @Test func answersOfOthersAreRefusedAndItGoesOnWaiting() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            let redirect = LoginSite.parameter("redirect_uri", of: address)
            for query in ["code=stolen&state=wrong", "code=stolen", "error=access_denied&state=x", "", "state=%zz"] {
                let page = try await site.browse("\(redirect)?\(query)")
                #expect(page.body.contains("Not this log-in"), "\(query)")
            }
            #expect(
                try await site.browse(redirect.replacing("/callback", with: "/favicon.ico")).body.contains(
                    "Nothing here"))
            let rebound = try await site.workshop.run(
                "rebinding", "curl", ["-sS", "-H", "Host: evil.example", redirect], timeout: .seconds(60))
            #expect(rebound.contains("Not for here"))
            #expect(await login.isRunning)
            #expect(try await site.browse(address).body.contains("You are logged in"))
            #expect(try await site.end(of: login) == 0, "\(login.log)")
            #expect(try await site.mock.totals().tokenRequests == 1)
        }
    }

    @Test func aDenialIsExplainedAndShownEscaped() async throws {
        try await LoginSite.run(["params: { prompt: none, login_hint: deny }"]) { site in
            let login = try await site.login([])
            let page = try await site.browse(try await site.address(login))
            #expect(page.body.contains("The log-in did not work") && page.body.contains("The user &lt;said&gt; no"))
            #expect(!page.body.contains("<said>"))
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("access was denied at the provider (access_denied)"), "\(login.log)")
            #expect(try await site.mock.totals().tokenRequests == 0)
        }
    }

    @Test func anAnswerOfAnotherIssuerSendsNothing() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            let state = LoginSite.parameter("state", of: address)
            let redirect = LoginSite.parameter("redirect_uri", of: address)
            _ = try await site.browse("\(redirect)?code=mac_x&state=\(state)&iss=https%3A%2F%2Fevil.example")
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("another issuer (iss)"), "\(login.log)")
            #expect(try await site.mock.totals().tokenRequests == 0)
        }
    }

    @Test func withoutARefreshTokenNothingIsStored() async throws {
        try await LoginSite.run(["params: { prompt: none, login_hint: alice, access_type: online }"]) { site in
            let login = try await site.login([])
            let page = try await site.browse(try await site.address(login))
            #expect(page.body.contains("no refresh token"))
            #expect(try await site.end(of: login) == 2)
            #expect(login.log.contains("no refresh token") && login.log.contains("offline_access"), "\(login.log)")
            #expect(try await site.perennial("accounts", "show", "alice").code == 1)
            #expect(site.keptLogins == [])
        }
    }

    @Test func itEndsByItselfWhenNobodyComes() async throws {
        try await LoginSite.run { site in
            let login = try await site.login(["--timeout", "1s"])
            #expect(try await site.end(of: login) == 1)
            #expect(login.log.contains("nobody has come back from the browser in time"), "\(login.log)")
        }
    }

    @Test func aRegisteredPortIsTakenAndOneInUseIsNamed() async throws {
        let ports = try FreePort.find(2)
        try await LoginSite.run([
            "params: { prompt: none, login_hint: alice }", "redirect_uri: http://localhost/auth/callback",
            "redirect_ports: [\(ports[0]), \(ports[1])]",
        ]) { site in
            let first = try await site.login([])
            let address = try await site.address(first)
            #expect(LoginSite.parameter("redirect_uri", of: address) == "http://localhost:\(ports[0])/auth/callback")
            let second = try await site.login([])
            let other = try await site.address(second)
            #expect(LoginSite.parameter("redirect_uri", of: other) == "http://localhost:\(ports[1])/auth/callback")
            let third = try await site.login([])
            #expect(try await site.end(of: third) == 1)
            #expect(third.log.contains("in use by another program"), "\(third.log)")
            for (login, address) in [(first, address), (second, other)] {
                _ = try await site.browse(address)
                #expect(try await site.end(of: login) == 0, "\(login.log)")
            }
        }
    }

    @Test func whatCannotWorkIsSaidBeforeAnybodyIsSentAnywhere() async throws {
        try await LoginSite.run { site in
            for (arguments, words) in [
                (["nobody"], "provider \"nobody\" is not configured (known: mock)"),
                (["mock", "--paste"], "redirect_uri"), (["mock", "--paste", "--device"], "exclude each other"),
                ([], "name a provider"),
            ] {
                let process = try await site.workshop.start(
                    "login", site.workshop.perennial, ["login"] + arguments + ["--config", site.configuration])
                #expect(try await site.end(of: process) == 1)
                #expect(process.log.contains(words), "\(process.log)")
            }
        }
    }

    @Test func theProvidersRefusalOfTheCodeIsPassedOn() async throws {
        try await LoginSite.run { site in
            let login = try await site.login([])
            let address = try await site.address(login)
            let state = LoginSite.parameter("state", of: address)
            let redirect = LoginSite.parameter("redirect_uri", of: address)
            let page = try await site.browse("\(redirect)?code=mac_unknown&state=\(state)")
            #expect(page.body.contains("does not take the code"))
            #expect(try await site.end(of: login) == 2)
            #expect(login.log.contains("invalid_grant") && !login.log.contains("mac_unknown"), "\(login.log)")
        }
    }

    @Test func aRefusedScopeNamesTheSetting() async throws {
        try await LoginSite.run { site in
            let login = try await site.login(["--scope", "forbidden"])
            _ = try await site.browse(try await site.address(login))
            #expect(try await site.end(of: login) == 1 || login.log.contains("invalid_scope"))
            #expect(login.log.contains("check login.scope or --scope"), "\(login.log)")
        }
    }
}
