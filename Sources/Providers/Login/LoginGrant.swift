import JSONText
public import RefreshCore

/// What a log-in has brought: tokens, and who has logged in as far as the answer tells.
public struct LoginGrant: Sendable {
    public let credentials: Credentials
    /// As it stands in the answer: it may be no account id.
    public let accountID: String?
    public let accountName: String?

    /// Reads the answer to a code exchange or to the last question of a device flow, by the provider's own rules.
    ///
    /// - Parameters:
    ///   - response: judged at the time at which it came, whenever it is read.
    ///   - nonce: what the ID token has to repeat; nil where none was sent.
    /// - Throws: ``LoginError``.
    public init(
        _ response: RawTokenResponse, _ definition: ProviderDefinition, catalog: ProviderCatalog, nonce: String?
    ) throws(LoginError) {
        let grant: TokenGrant
        switch catalog.interpret(response, provider: definition.name) {
        case .rotated(let found): grant = found
        case .refused(let reason):
            throw LoginError(
                .refused,
                "the provider does not take the code: \(reason). A code is good for one use and a short time: log in again"
            )
        case .misconfigured(let reason):
            throw LoginError(.refused, "the provider refused the request for the tokens: \(reason). Check the client")
        case .throttled(let reason, _):
            throw LoginError(.refused, "the provider asks to come back later: \(reason)")
        case .ambiguous(let reason): throw LoginError(.malformed, "the provider's answer is of no use: \(reason)")
        case nil: throw LoginError(.refused, "the provider \(definition.name) is not in this configuration")
        }
        guard let refreshToken = grant.refreshToken else { throw Self.noRefreshToken(definition) }
        credentials = Credentials(
            refreshToken: refreshToken, accessToken: grant.accessToken, tokenType: grant.tokenType,
            expiresAt: grant.expiresAt, grantExpiresAt: grant.grantExpiresAt)

        let document = LoginDocument.parse(response.body)
        let claims = document?["id_token"]?.plainText.flatMap { IDToken.claims($0) }
        if let claims {
            try IDToken.check(
                claims, issuer: definition.login.issuer, clientID: definition.clientID, nonce: nonce,
                receivedAt: response.requestedAt)
        } else if definition.login.needsIDToken {
            throw LoginError(.idToken, "the answer holds no ID token, which login.account_id needs: check login.scope")
        }
        func text(_ source: LoginIdentitySource?) -> String? {
            switch source {
            case .answer(let pointer): document.flatMap { pointer.value(in: $0)?.plainText }
            case .idToken(let pointer): claims.flatMap { pointer.value(in: $0)?.plainText }
            case nil: nil
            }
        }
        accountID = text(definition.login.accountID)
        accountName = text(definition.login.accountName)
    }

    private static func noRefreshToken(_ definition: ProviderDefinition) -> LoginError {
        let isGoogle = definition.tokenURL.contains("googleapis.com")
        let advice =
            isGoogle
            ? "Google gives one only with access_type: offline and prompt: consent under login.params"
            : "ask for it as the provider documents it: often the scope offline_access, or a parameter under login.params"
        return LoginError(
            .noRefreshToken,
            "the provider gave an access token and no refresh token, so there is nothing to keep fresh; nothing was stored. "
                + advice)
    }
}

extension LoginDefinition {
    fileprivate var needsIDToken: Bool {
        if case .idToken = accountID { return true }
        return false
    }
}
