/// A seeded account with its first pair of tokens.
///
/// The tokens are worth nothing outside the mock provider that issued them, yet they never show in a description.
public struct MockAccount: Sendable, Hashable {
    public let id: String
    public let refreshToken: String
    public let accessToken: String
    public let expiresAt: MockInstant
}
