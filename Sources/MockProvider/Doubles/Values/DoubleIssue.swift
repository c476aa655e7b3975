/// New tokens on their way into an answer.
struct DoubleIssue: Sendable {
    var account: String
    /// As the answer has it: a text, unless the answer is to be hostile.
    var accessToken: DoubleJSON
    /// Nil: the answer has none.
    var refreshToken: DoubleJSON?
    var issuedAt: MockInstant
    var expiresAt: MockInstant
    /// Instead of what the style would say of the access token's end.
    var expiry: DoubleJSON?

    /// Seconds, rounded down.
    var expiresIn: Int64 { expiresAt.wholeSeconds(since: issuedAt) }
}

extension DoubleJSON {
    /// A token answer (RFC 6749 §5.1) with its expiry in the given style.
    init(_ issue: DoubleIssue, style: DoubleStyle.Expiry) {
        self = ["access_token": issue.accessToken, "token_type": "Bearer"]
        self = addingExpiry(of: issue, style: style)
        if let refreshToken = issue.refreshToken { self = adding("refresh_token", refreshToken) }
    }

    private func addingExpiry(of issue: DoubleIssue, style: DoubleStyle.Expiry) -> DoubleJSON {
        if let expiry = issue.expiry { return adding("expires_in", expiry) }
        switch style {
        case .expiresIn: return adding("expires_in", .number(issue.expiresIn))
        case .expiresInText: return adding("expires_in", .text(String(issue.expiresIn)))
        case .expiresAtSeconds: return adding("expires_at", .number(issue.expiresAt.flooredSeconds))
        case .expiresAtMilliseconds: return adding("expires_at", .number(issue.expiresAt.milliseconds))
        case .expiresAtISO: return adding("expires_at", .text(CivilTime(issue.expiresAt).iso(zone: "Z")))
        case .claim: return self
        }
    }
}
