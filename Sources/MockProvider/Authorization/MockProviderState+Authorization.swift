import Crypto

// The token endpoint's side of RFC 6749 §4.1.3, RFC 7636 §4.6 and RFC 8628 §3.5.
extension MockProviderState {
    /// Whether an authorization request's client is the configured one.
    func knows(client: String) -> Bool { configuration.clientID.map { $0 == client } ?? true }

    /// Somebody has said yes: a code for the client to fetch tokens with.
    mutating func issueCode(for request: MockAuthorization.Request, account: String, at now: MockInstant) -> String {
        let code = authorization.newName("mac_")
        authorization.codes[code] = .init(request: request, account: account, issuedAt: now)
        return code
    }

    mutating func startDevice(
        client: String, scope: String?, issuer: String, at now: MockInstant
    ) -> (code: String, device: MockAuthorization.Device) {
        let code = authorization.newName("mdc_")
        let device = MockAuthorization.Device(
            clientID: client, userCode: authorization.newUserCode(), scope: scope, issuer: issuer,
            expiresAt: now.advanced(by: configuration.deviceCodeLifetime),
            interval: configuration.deviceInterval.components.seconds)
        authorization.devices[code] = device
        return (code, device)
    }

    /// False where no code waits for a decision under this name.
    mutating func decide(userCode: String, _ decision: MockAuthorization.Device.Decision, at now: MockInstant) -> Bool {
        guard let (code, device) = authorization.devices.first(where: { $0.value.userCode == userCode }),
            device.decision == .pending, now < device.expiresAt
        else { return false }
        authorization.devices[code]?.decision = decision
        return true
    }

    /// The answer to a code, of either kind.
    mutating func redeem(_ grant: MockTokenRequest.Grant, client: String?, at now: MockInstant) -> MockTokenAnswer? {
        switch grant {
        case .authorizationCode(let code, let redirectURI, let verifier):
            redeem(code: code, redirectURI: redirectURI, verifier: verifier, client: client, at: now)
        case .deviceCode(let code): redeem(device: code, client: client, at: now)
        case .refreshToken, .clientCredentials: nil
        }
    }

    private mutating func redeem(
        code: String, redirectURI: String?, verifier: String?, client: String?, at now: MockInstant
    ) -> MockTokenAnswer {
        guard let entry = authorization.codes[code] else { return .invalidGrant("The code is unknown") }
        if let family = entry.family {
            // RFC 6749 §4.1.2: a code that comes twice takes back what it was exchanged for.
            if family >= 0 { revokeFamily(family) }
            return .invalidGrant("The code has already been used")
        }
        // Whatever comes of it, the code has had its use.
        authorization.codes[code]?.family = -1
        guard now < entry.issuedAt.advanced(by: MockAuthorization.codeLifetime) else {
            return .invalidGrant("The code has expired")
        }
        guard client == entry.request.clientID else { return .invalidGrant("The code was issued to another client") }
        guard redirectURI == entry.request.redirectURI else {
            return .invalidGrant("redirect_uri is not the one of the authorization request")
        }
        guard let verifier, (43...128).contains(verifier.utf8.count),
            MockAuthorization.challenge(of: verifier) == entry.request.challenge
        else { return .invalidGrant("code_verifier does not fit the code_challenge") }
        let (answer, family) = authorize(
            entry.account, scope: entry.request.scope, nonce: entry.request.nonce, client: entry.request.clientID,
            issuer: entry.request.issuer, isOffline: entry.request.accessType != "online", at: now)
        authorization.codes[code]?.family = family
        return answer
    }

    private mutating func redeem(device code: String, client: String?, at now: MockInstant) -> MockTokenAnswer {
        func error(_ error: String, _ description: String) -> MockTokenAnswer {
            MockTokenAnswer(content: .refused(status: 400, error: error, description: description))
        }
        guard var device = authorization.devices[code], device.clientID == client, !device.isSpent else {
            return .invalidGrant("The device code is unknown, used or another client's")
        }
        guard now < device.expiresAt else { return error("expired_token", "The device code has expired") }
        let last = device.lastAskedAt
        device.lastAskedAt = now
        defer { authorization.devices[code] = device }
        // Somewhat less than the interval: the client's clock and this one are not the same.
        if let last, now.milliseconds - last.milliseconds < device.interval * 1000 - 50 {
            device.interval += 5
            return error("slow_down", "Ask less often")
        }
        switch device.decision {
        case .pending: return error("authorization_pending", "Nobody has typed in the code yet")
        case .denied: return error("access_denied", "The user said no")
        case .allowed(let account):
            device.isSpent = true
            return authorize(
                account, scope: device.scope, nonce: nil, client: device.clientID, issuer: device.issuer,
                isOffline: true, at: now
            ).answer
        }
    }

    private mutating func authorize(
        _ account: String, scope: String?, nonce: String?, client: String, issuer: String, isOffline: Bool,
        at now: MockInstant
    ) -> (answer: MockTokenAnswer, family: Int) {
        let family = grant(to: account, expiresAt: now.advanced(by: configuration.accessTokenLifetime))
        var answer = issue(family, withRefreshToken: isOffline, at: now)
        if case .issued(var issued) = answer.content {
            issued.account = account
            if scope?.split(separator: " ").contains("openid") == true {
                issued.idToken = Self.idToken(
                    account: account, nonce: nonce, client: client, issuer: issuer, now: now,
                    lifetime: configuration.accessTokenLifetime)
            }
            answer.content = .issued(issued)
        }
        return (answer, Int(family))
    }

    /// A JWT signed with HMAC-SHA-256 under the client's id, which is as good as no signature.
    private static func idToken(
        account: String, nonce: String?, client: String, issuer: String, now: MockInstant, lifetime: Duration
    ) -> String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        var claims = [
            "\"iss\":\(quoted(issuer))", "\"aud\":\(quoted(client))", "\"sub\":\(quoted(account))",
            "\"email\":\(quoted(account + "@example.com"))", "\"name\":\(quoted("User " + account))",
            "\"iat\":\(now.milliseconds / 1000)", "\"exp\":\(now.advanced(by: lifetime).milliseconds / 1000)",
        ]
        if let nonce { claims.append("\"nonce\":\(quoted(nonce))") }
        let head = Base64URL.text(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
        let body = Base64URL.text(Array("{\(claims.joined(separator: ","))}".utf8))
        let key = SymmetricKey(data: Array(client.utf8))
        let tag = HMAC<SHA256>.authenticationCode(for: Array("\(head).\(body)".utf8), using: key)
        return "\(head).\(body).\(Base64URL.text(Array(tag)))"
    }
}
