/// What a call has shown of the token that it was made with.
public enum TokenVerdict: Sendable, Hashable {
    /// Nothing: the call failed for a reason of its own.
    case none
    /// The token was refused, as with status 401: it gets replaced, once for its generation, and the call is made again.
    case refused
    /// The account's quota is used up. Of a pool, the account cools down for the whole fleet and the call is made again with
    /// the next one; of a single account there is no next one.
    ///
    /// With the time until it is there again, where the answer said so (`Retry-After`, a reset header).
    case quotaExhausted(retryAfter: Duration? = nil)
    /// Too many calls in too short a time. As with a quota, for a shorter time where none is given.
    case throttled(retryAfter: Duration? = nil)
}

/// An error that says what it means for the token of the call: what `withToken` looks for in the errors of its body.
///
/// ``TokenRefused`` and ``QuotaExhausted`` are two at hand. An error type that a backend has already joins them with one
/// property:
///
/// ```swift
/// extension APIError: TokenJudging {
///     var tokenVerdict: TokenVerdict {
///         switch status {
///         case 401: .refused
///         case 429: .quotaExhausted(retryAfter: retryAfter)
///         default: .none
///         }
///     }
/// }
/// ```
public protocol TokenJudging: Error {
    var tokenVerdict: TokenVerdict { get }
}

/// The call was refused because of its token.
public struct TokenRefused: TokenJudging, Hashable, CustomStringConvertible {
    /// What the call was told, for people. Never the token, and no body that may hold one.
    public var reason: String

    public init(_ reason: String = "") {
        self.reason = reason
    }

    public var tokenVerdict: TokenVerdict { .refused }
    public var description: String { reason.isEmpty ? "the token was refused" : "the token was refused: \(reason)" }
}

/// The call was refused because the account has used up what it may use.
public struct QuotaExhausted: TokenJudging, Hashable, CustomStringConvertible {
    /// Until there is some again; nil where the answer did not say.
    public var retryAfter: Duration?
    /// What the call was told, for people. Never the token, and no body that may hold one.
    public var reason: String

    public init(retryAfter: Duration? = nil, _ reason: String = "") {
        self.retryAfter = retryAfter
        self.reason = reason
    }

    public var tokenVerdict: TokenVerdict { .quotaExhausted(retryAfter: retryAfter) }
    public var description: String { reason.isEmpty ? "the quota is used up" : "the quota is used up: \(reason)" }
}
