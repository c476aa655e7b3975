import Testing

@testable import MockProvider

/// Codes of both kinds: strict, and good once.
@Suite struct MockAuthorizationTests {
    private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    private static let redirect = "http://127.0.0.1:7/callback"

    private struct Site {
        var state = MockProviderState(configuration: MockProviderConfiguration(clientID: "app"))
        var now = MockInstant(milliseconds: 1_800_000_000_000)

        mutating func code(scope: String? = nil, accessType: String? = nil) -> String {
            state.issueCode(
                for: MockAuthorization.Request(
                    clientID: "app", redirectURI: redirect, state: "s",
                    challenge: MockAuthorization.challenge(of: verifier),
                    scope: scope, nonce: "n", accessType: accessType, issuer: "http://mock"), account: "alice", at: now)
        }

        mutating func redeem(
            _ code: String, redirect: String? = redirect, verifier: String? = verifier, client: String = "app"
        ) -> MockTokenAnswer.Content {
            state.token(
                MockTokenRequest(
                    .authorizationCode(code, redirectURI: redirect, verifier: verifier), client: .init(id: client)),
                at: now
            ).content
        }

        /// Whether the code waited for a decision: 1 or 0.
        mutating func decide(_ userCode: String, _ decision: MockAuthorization.Device.Decision) -> Int {
            state.decide(userCode: userCode, decision, at: now) ? 1 : 0
        }

        mutating func ask(_ device: String) -> String? {
            let answer = state.token(MockTokenRequest(.deviceCode(device), client: .init(id: "app")), at: now)
            switch answer.content {
            case .issued: return nil
            case .refused(_, let error, _): return error
            default: return "something else"
            }
        }
    }

    /// RFC 7636 Appendix B.
    @Test func theChallengeIsThatOfTheRFC() {
        #expect(
            MockAuthorization.challenge(of: Self.verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    }

    @Test func aCodeGivesTokensOnceAndTakesThemBackTheSecondTime() throws {
        var site = Site()
        let code = site.code(scope: "openid")
        guard case .issued(let issued) = site.redeem(code) else {
            Issue.record("no tokens")
            return
        }
        #expect(issued.account == "alice" && issued.idToken?.split(separator: ".").count == 3)
        let refresh = try #require(issued.refreshToken)
        guard case .refused(400, "invalid_grant", _) = site.redeem(code) else {
            Issue.record("the code was taken twice")
            return
        }
        let later = site.state.token(
            MockTokenRequest(.refreshToken(refresh), client: .init(id: "app")), at: site.now)
        guard case .refused = later.content else {
            Issue.record("the tokens of a code that came twice live on")
            return
        }
    }

    @Test func everythingAboutACodeHasToFit() {
        var site = Site()
        let other = String(repeating: "x", count: 43)
        for number in 0..<5 {
            let code = site.code()
            if number == 4 { site.now = site.now.advanced(by: .seconds(61)) }
            let content =
                switch number {
                case 0: site.redeem(code, redirect: "http://127.0.0.1:8/callback")
                case 1: site.redeem(code, verifier: other)
                case 2: site.redeem(code, verifier: nil)
                case 3: site.redeem(code, redirect: nil)
                default: site.redeem(code)
                }
            guard case .refused(400, "invalid_grant", _) = content else {
                Issue.record("\(number) was taken")
                continue
            }
            // A wrong try uses it up.
            guard case .refused = site.redeem(code) else {
                Issue.record("\(number): a second chance")
                continue
            }
        }
        guard case .refused(401, "invalid_client", _) = site.redeem(site.code(), client: "other") else {
            Issue.record("another client got tokens")
            return
        }
    }

    @Test func onlineAccessHasNoRefreshToken() {
        var site = Site()
        guard case .issued(let issued) = site.redeem(site.code(accessType: "online")) else {
            Issue.record("no tokens")
            return
        }
        #expect(issued.refreshToken == nil)
    }

    @Test func aDeviceHasToWait() {
        var site = Site()
        let (code, device) = site.state.startDevice(client: "app", scope: nil, issuer: "http://mock", at: site.now)
        #expect(site.ask(code) == "authorization_pending")
        site.now = site.now.advanced(by: .milliseconds(500))
        #expect(site.ask(code) == "slow_down")
        site.now = site.now.advanced(by: .seconds(5))
        #expect(site.ask(code) == "slow_down")
        site.now = site.now.advanced(by: .seconds(12))
        #expect(site.ask(code) == "authorization_pending")
        #expect(site.decide("NOPE-NOPE", .denied) == 0)
        #expect(site.decide(device.userCode, .allowed(account: "bob")) == 1)
        #expect(site.decide(device.userCode, .denied) == 0)
        site.now = site.now.advanced(by: .seconds(30))
        #expect(site.ask(code) == nil)
        site.now = site.now.advanced(by: .seconds(30))
        #expect(site.ask(code) == "invalid_grant")
    }

    @Test func aDeviceCodeEndsAndCanBeDenied() {
        var site = Site()
        let (first, _) = site.state.startDevice(client: "app", scope: nil, issuer: "", at: site.now)
        let (second, device) = site.state.startDevice(client: "app", scope: nil, issuer: "", at: site.now)
        #expect(site.decide(device.userCode, .denied) == 1)
        #expect(site.ask(second) == "access_denied")
        site.now = site.now.advanced(by: .seconds(601))
        #expect(site.ask(first) == "expired_token")
        #expect(site.ask("mdc_unknown") == "invalid_grant")
    }

    @Test func theAuthorizationEndpointIsStrict() async throws {
        try await withProvider(MockProviderConfiguration(clientID: "app")) { _, client in
            let good =
                "/authorize?response_type=code&client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1%3A7%2Fcb&state=s%201"
                + "&code_challenge=\(String(repeating: "a", count: 43))&code_challenge_method=S256&prompt=none"
            let answer = try await client.send("GET", good)
            #expect(answer.status == 302)
            let location = answer.headers["location"] ?? ""
            #expect(location.hasPrefix("http://127.0.0.1:7/cb?code=mac_") && location.contains("&state=s%201&iss=http"))
            for (change, status, words) in [
                ("client_id=app", 400, "unknown"), ("127.0.0.1", 400, "not registered"),
                ("response_type=code", 302, "error=unsupported_response_type"), ("S256", 302, "error=invalid_request"),
                ("code_challenge=a", 302, "error=invalid_request"),
            ] {
                let bad = try await client.send("GET", good.replacing(change, with: change + "x"))
                let said = (bad.headers["location"] ?? "") + bad.body
                #expect(bad.status == status && said.contains(words), "\(change): \(bad.status) \(said)")
            }
            let denied = try await client.send("GET", good + "&login_hint=deny")
            #expect(denied.headers["location"]?.contains("error=access_denied") == true)
            let page = try await client.send("GET", good.replacing("&prompt=none", with: ""))
            #expect(page.status == 200 && page.body.contains("<form method=post action=/authorize/decision>"))
        }
    }
}
