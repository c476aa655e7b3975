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
        /// The API refused the call because the account's quota is spent; see ``DoubleQuota``.
        case exhausted
        /// Turned away because of what was presented.
        case refused(String)
        /// Turned away because of the request or the client.
        case malformed(String)

        public var description: String {
            switch self {
            case .served: "served"
            case .ordered(let name): "answered as ordered: \(name)"
            case .exhausted: "over its quota"
            case .refused(let reason): "refused: \(reason)"
            case .malformed(let reason): "not a proper request: \(reason)"
            }
        }
    }

    /// Counts from 1.
    public internal(set) var sequence = 0
    public let at: MockInstant
    public let phase: Phase
    /// Without the query.
    public let path: String
    /// Nil where it cannot be told.
    public let account: String?
    /// Of the refresh token, or whatever stands for it; of the access token in the API.
    public let presented: TokenFingerprint?
    public let outcome: Outcome
    /// A refresh token that had been replaced was presented again.
    public let isReuse: Bool
    public let issued: DoubleIssued?
}

extension Sequence<DoubleUse> {
    /// Calls that an account's token was sent on although its quota was spent: in order, without the first of each time,
    /// which nobody could know of before.
    public func repeatedRefusals(of account: String) -> [DoubleUse] {
        var wasExhausted = false
        return filter { use in
            guard use.phase == .api, use.account == account else { return false }
            defer { wasExhausted = use.outcome == .exhausted }
            return wasExhausted && use.outcome == .exhausted
        }
    }
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
