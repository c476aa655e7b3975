public import RefreshCore

/// One request to an authorization endpoint (RFC 6749 §4.1.1) with what is needed to judge its answer.
public struct AuthorizationRequest: Sendable {
    /// For the browser. Holds nothing that has to be kept secret.
    public let url: String
    public let redirectURI: RedirectURI
    /// Binds the answer to this request (RFC 6749 §10.12).
    public let state: String
    /// Binds the ID token to this request (OpenID Connect Core §3.1.2.1); nil where none is asked for.
    public let nonce: String?
    let pkce: PKCE
    private let issuer: String?

    /// - Parameters:
    ///   - redirectURI: with its port.
    ///   - scope: instead of the configured one.
    public init(_ definition: ProviderDefinition, authorizationURL: String, redirectURI: RedirectURI, scope: String?) {
        self.redirectURI = redirectURI
        issuer = definition.login.issuer
        state = RandomText.make(bytes: 24)
        pkce = PKCE()
        let scope = scope ?? definition.login.scope ?? definition.scope
        nonce = scope?.split(separator: " ").contains("openid") == true ? RandomText.make(bytes: 24) : nil
        var fields = [
            (name: "response_type", value: "code"), (name: "client_id", value: definition.clientID),
            (name: "redirect_uri", value: redirectURI.text), (name: "state", value: state),
            (name: "code_challenge", value: pkce.challenge), (name: "code_challenge_method", value: "S256"),
        ]
        if let scope { fields.append((name: "scope", value: scope)) }
        if let nonce { fields.append((name: "nonce", value: nonce)) }
        if let audience = definition.audience { fields.append((name: "audience", value: audience)) }
        for resource in definition.resources { fields.append((name: "resource", value: resource)) }
        for parameter in definition.login.parameters ?? [] {
            fields.append((name: parameter.name, value: parameter.value.reveal()))
        }
        url = QueryText.append(fields, to: authorizationURL)
    }

    /// The code of an answer at the redirect address.
    ///
    /// - Throws: ``LoginError``: `wrongState` for what belongs to no request or another one, which is to be passed over;
    ///   everything else ends the log-in.
    public func code(fromQuery query: Substring) throws(LoginError) -> Secret {
        guard let parameters = QueryText(query) else {
            throw LoginError(.wrongState, "this is no answer to a log-in: its parameters cannot be read")
        }
        guard let given = parameters["state"], Self.isSame(given, state) else {
            throw LoginError(
                .wrongState,
                "this answer belongs to no log-in that is waiting here (its state is another one); use the newest window"
            )
        }
        if let issuer, let given = parameters["iss"], given != issuer {
            throw LoginError(
                .wrongIssuer,
                "the answer says that it comes from another issuer (iss) than login.issuer: nothing was sent there")
        }
        if let error = parameters["error"] { throw Self.failure(error, parameters["error_description"]) }
        guard let code = parameters["code"] else {
            throw LoginError(.malformed, "the answer holds neither a code nor an error")
        }
        return try Self.checked(code)
    }

    /// The code of what somebody has pasted: the code alone, `code#state`, or the address that the browser was sent to.
    ///
    /// - Throws: ``LoginError``.
    public func code(fromPasted text: String) throws(LoginError) -> Secret {
        let text = text.filter { !$0.isWhitespace }
        guard !text.isEmpty else { throw LoginError(.malformed, "nothing was pasted") }
        if text.contains("://") || text.hasPrefix("?") || text.hasPrefix("code=") || text.contains("&state=") {
            let query = text.firstIndex(of: "?").map { text[$0...].dropFirst() } ?? text[...]
            return try code(fromQuery: query.prefix { $0 != "#" })
        }
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, !Self.isSame(String(parts[1]), state) {
            throw LoginError(
                .wrongState, "this code belongs to another log-in (what stands behind # is not this one's state)")
        }
        return try Self.checked(String(parts[0]))
    }

    private static func checked(_ code: String) throws(LoginError) -> Secret {
        // RFC 6749 Appendix A.11: visible ASCII and the blank, which no code has.
        guard (1...8192).contains(code.utf8.count), code.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw LoginError(.malformed, "the code is empty, too long or holds a character that a code cannot have")
        }
        return Secret(code)
    }

    /// Takes as long for a near miss as for any other.
    private static func isSame(_ one: String, _ other: String) -> Bool {
        let (one, other) = (Array(one.utf8), Array(other.utf8))
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// RFC 6749 §4.1.2.1.
    static func failure(_ error: String, _ description: String?) -> LoginError {
        let scrubber = Scrubber(secrets: [])
        let code = scrubber.code(error) ?? "(an error code that is not shown)"
        let words = description.map(scrubber.scrub).flatMap { $0.isEmpty ? nil : ": \($0)" } ?? ""
        switch error {
        case "access_denied":
            return LoginError(.denied, "access was denied at the provider (access_denied)\(words)")
        case "invalid_scope":
            return LoginError(
                .refused, "the provider does not grant this scope (invalid_scope)\(words); check login.scope or --scope"
            )
        case "unauthorized_client", "unsupported_response_type":
            return LoginError(
                .refused, "the provider does not let this client log in so (\(code))\(words); check client_id")
        default: return LoginError(.refused, "the provider refused the log-in: \(code)\(words)")
        }
    }
}
