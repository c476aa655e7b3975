import JSONText
import RefreshCore

/// The claims of an ID token (OpenID Connect Core §2).
///
/// Its signature is not checked: it comes straight from the token endpoint over TLS, which stands in for it (§3.1.3.7,
/// item 6).
enum IDToken {
    /// How far the provider's clock may be off.
    private static let leeway = Duration.seconds(300)

    /// Nil for what is no JWT (RFC 7519 §7.2).
    static func claims(_ token: String) -> JSONValue? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = HTTPText.base64URLDecoded(parts[1]) else { return nil }
        return LoginDocument.parse(payload)
    }

    /// - Parameter receivedAt: it has to be good then; an answer that was kept may be read when it has long ended.
    /// - Throws: ``LoginError`` where the token is of another issuer, for another client, of another log-in or over.
    static func check(
        _ claims: JSONValue, issuer: String?, clientID: String, nonce: String?, receivedAt: WallTime
    ) throws(LoginError) {
        func refusal(_ reason: String) -> LoginError {
            LoginError(.idToken, "the ID token \(reason): nothing was stored")
        }
        if let issuer, claims["iss"]?.plainText != issuer { throw refusal("is not one of login.issuer (iss)") }
        guard let audience = claims["aud"]?.plainTexts, audience.contains(clientID) else {
            throw refusal("is for another client (aud)")
        }
        if let nonce, claims["nonce"]?.plainText != nonce { throw refusal("belongs to another log-in (nonce)") }
        if let end = claims["exp"]?.plainText.flatMap({ Double($0) }), WallTime(seconds: end) + leeway < receivedAt {
            throw refusal("had ended when it came (exp); check this machine's clock")
        }
    }
}
