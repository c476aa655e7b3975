/// One request that a double has seen.
public struct DoubleUse: Sendable, Hashable {
    public enum Phase: String, Sendable, Hashable {
        case token, api
    }

    public enum Outcome: Sendable, Hashable, CustomStringConvertible {
        /// Tokens were issued, or the API served the call.
        case served
        /// Answered as ordered; the order's name.
        case ordered(String)
        /// Turned away because of what was presented.
        case refused(String)
        /// Turned away because of the request or the client.
        case malformed(String)

        public var description: String {
            switch self {
            case .served: "served"
            case .ordered(let name): "answered as ordered: \(name)"
            case .refused(let reason): "refused: \(reason)"
            case .malformed(let reason): "not a proper request: \(reason)"
            }
        }
    }

    /// Counts from 1.
    public internal(set) var sequence = 0
    public let at: MockInstant
    public let phase: Phase
    /// Nil where it cannot be told.
    public let account: String?
    /// Of the refresh token, or whatever stands for it.
    public let presented: TokenFingerprint?
    public let outcome: Outcome
    /// A refresh token that had been replaced was presented again.
    public let isReuse: Bool
    public let issued: DoubleIssued?
}

/// What an answer handed out.
public struct DoubleIssued: Sendable, Hashable {
    public let accessToken: TokenFingerprint
    /// The refresh token that is good from now on, whether or not the answer has it; nil where there is none.
    public let refreshToken: TokenFingerprint?
    /// Whether the answer has a refresh token.
    public let isRefreshTokenReturned: Bool
    /// When the access token ends, by everything that the answer says of it.
    public let expiresAt: MockInstant
}
