import FoundationEssentials
import RefreshCore

/// When an access token ends: the first of `expires_in`, `expires_at`, the token's own `exp` claim and the configured
/// life that makes sense. A time that is not after the request makes none, since nobody issues expired tokens: it is a
/// wrong clock or a placeholder, and taking it at its word would refresh without end.
///
/// Except in the answer to a re-send: there the provider may hand out once more what it issued the first time, whose end
/// is near or past, and no other time may make such a token look alive.
enum TokenExpiry {
    /// No token counts as living longer than this.
    static let longest: Duration = .seconds(10 * 366 * 86_400)

    static func of(
        _ answer: TokenAnswer, accessToken: String, requestedAt: WallTime, isReplay: Bool, defaultLifetime: Duration
    ) -> WallTime {
        if isReplay, let seconds = answer.expiresIn?.number, seconds <= 0 { return requestedAt }
        let latest = requestedAt + longest
        let candidates: [() -> WallTime?] = [
            { answer.expiresIn.flatMap { lifetime($0) }.map { requestedAt + $0 } },
            { answer.expiresAt.flatMap { instant($0) } },
            { claim(of: accessToken) },
        ]
        for candidate in candidates {
            if let time = candidate(), time > requestedAt || isReplay { return min(time, latest) }
        }
        return requestedAt + defaultLifetime
    }

    private static func lifetime(_ value: TokenAnswer.Loose) -> Duration? {
        guard let seconds = value.number, seconds.isFinite, seconds > 0 else { return nil }
        return .milliseconds(Int64(min(seconds, longest.inSeconds) * 1000))
    }

    private static func instant(_ value: TokenAnswer.Loose) -> WallTime? {
        if case .text(let text) = value, let time = Timestamp.rfc3339(text) { return time }
        guard let number = value.number, number.isFinite, number > 0 else { return nil }
        // As seconds this is in the year 5138, as milliseconds in 1973.
        return WallTime(seconds: number > 1e11 ? number / 1000 : number)
    }

    /// The `exp` claim of a JWT (RFC 7519 §4.1.4). The signature is not checked: the token comes from its issuer.
    private static func claim(of token: String) -> WallTime? {
        struct Claims: Decodable { var exp: Double }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = HTTPText.base64URLDecoded(parts[1]),
            let claims = try? JSONDecoder().decode(Claims.self, from: Data(payload)), claims.exp.isFinite,
            claims.exp > 0
        else { return nil }
        return WallTime(seconds: claims.exp)
    }
}
