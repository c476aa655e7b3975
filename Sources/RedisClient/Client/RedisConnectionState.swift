/// Where the client stands with its server, for `/readyz` and logs.
public enum RedisConnectionState: Sendable, Hashable, CustomStringConvertible {
    /// ``RedisClient/run()`` has not been called yet.
    case idle
    /// The very first attempt to connect is under way.
    case connecting
    /// Connected, authenticated, and the server answered a PING.
    case ready
    /// Not connected; the client keeps trying. The reason carries no secrets.
    case away(reason: String)
    /// Shut down for good.
    case closed

    public var description: String {
        switch self {
        case .idle: "not started"
        case .connecting: "connecting"
        case .ready: "ready"
        case .away(let reason): "away: \(reason)"
        case .closed: "closed"
        }
    }
}
