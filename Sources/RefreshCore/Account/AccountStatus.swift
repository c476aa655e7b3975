/// The state of an account as callers and operators see it.
public enum AccountStatus: String, Sendable, Hashable, CaseIterable {
    /// Refreshing works, or has not been needed yet.
    case active
    /// Refreshing fails; a token may still be good, and refreshing goes on.
    case degraded
    /// The provider definitely refused the newest refresh token: somebody has to log in again.
    case reauthRequired = "reauth_required"
    /// Paused by an operator: neither refreshed nor served.
    case disabled
}

/// Why the last refresh of an account failed. Holds no secret: only classes, codes and masked words.
public struct RefreshFault: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case unsent, refused, misconfigured, throttled, ambiguous
        /// A single-use refresh token was sent, the answer never arrived, and nothing may be sent again.
        case outcomeUnknown = "outcome_unknown"
    }

    public var kind: Kind
    /// What happened, in words an operator can act on.
    public var message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }
}
