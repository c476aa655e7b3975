/// The refresh and access token with which an account is added or re-authorised.
public struct Credentials: Sendable, Hashable {
    public var refreshToken: Secret
    public var accessToken: Secret?
    public var tokenType: String
    public var expiresAt: WallTime?
    /// When the refresh token itself ends; nil where that is not known.
    public var grantExpiresAt: WallTime?

    public init(
        refreshToken: Secret, accessToken: Secret? = nil, tokenType: String = "Bearer", expiresAt: WallTime? = nil,
        grantExpiresAt: WallTime? = nil
    ) {
        self.grantExpiresAt = grantExpiresAt
        self.refreshToken = refreshToken
        self.accessToken = accessToken
        self.tokenType = tokenType
        self.expiresAt = expiresAt
    }
}

/// A token that cannot be one: empty, too long, or with characters that would break out of a header.
public struct InvalidToken: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// Longest token that is accepted, in bytes.
    public static let maximumLength = 64 * 1024

    /// - Throws: ``InvalidToken`` when `token` is empty, has white space or control characters, or is too long
    ///   (RFC 6749 Appendix A.12 and A.17 allow the visible ASCII characters only).
    public static func check(_ token: Secret, field: String) throws(InvalidToken) {
        let bytes = token.reveal().utf8
        guard !bytes.isEmpty else { throw InvalidToken(description: "\(field) is empty") }
        guard bytes.count <= maximumLength else {
            throw InvalidToken(description: "\(field) has \(bytes.count) bytes, at most \(maximumLength) are allowed")
        }
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw InvalidToken(
                description: "\(field) holds a character that a token cannot have (white space, control or non-ASCII)")
        }
    }
}
