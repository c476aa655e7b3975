/// The providers that there are doubles of: the rows of the table that the presets are made for.
public enum DoubleRow: String, Sendable, Hashable, CaseIterable {
    case oauth2
    case clientCredentials = "client_credentials"
    case jwtBearer = "jwt_bearer"
    case claude, gemini, openai, pixiv, warp, intranet

    /// What stands for an account's right to new access tokens.
    public var rotation: DoubleRotation {
        switch self {
        case .oauth2, .claude, .openai: .singleUse
        case .gemini: .reusable(isReturned: false)
        case .pixiv, .warp: .reusable(isReturned: true)
        case .clientCredentials, .jwtBearer, .intranet: .none
        }
    }
}

/// What a provider does with a refresh token that has been used.
public enum DoubleRotation: Sendable, Hashable {
    /// Replaced at each refresh; a second use revokes everything that descends from it.
    case singleUse
    /// Survives use; the answer repeats it or leaves it out.
    case reusable(isReturned: Bool)
    /// There is no refresh token: a refresh is a new grant, or a new login.
    case none
}
