public import RefreshCore

/// Why the gateway answers by itself instead of an upstream. Holds no token, no header and no body.
public struct GatewayFailure: Error, Sendable {
    public enum Reason: Sendable {
        /// The request is at fault.
        case refused(Refusal, String)
        /// The account has no token.
        case token(RefreshFailure, AccountID)
        case pool(PoolFailure, PoolName)
        case upstream(UpstreamFailure)
        /// The deadline of the whole request has passed.
        case late(String)
        /// Nobody is there any more to be answered.
        case callerGone
        /// The upstream has ended an answer too early that had begun: the caller has to see it cut.
        case cut
    }

    public enum Refusal: String, Sendable, Hashable, CaseIterable {
        case routeNotFound = "route_not_found"
        /// The path would leave the upstream's prefix, or could.
        case path = "path_refused"
        case method = "method_not_allowed"
        case upgrade = "upgrade_refused"
        case loop = "loop_detected"
        case noChoice = "choice_missing"
        case choice = "choice_refused"
        case body = "malformed_body"
        case slowBody = "body_too_slow"
        case header = "malformed_request"
    }

    public var reason: Reason
    public var log: AttemptLog
    /// Of the last try.
    public var account: AccountID?

    public init(_ reason: Reason, log: AttemptLog = AttemptLog(), account: AccountID? = nil) {
        self.reason = reason
        self.log = log
        self.account = account
    }

    static func refused(_ refusal: Refusal, _ detail: String) -> GatewayFailure {
        GatewayFailure(.refused(refusal, detail))
    }
}
