/// What Redis has to confirm before a claim is used, and before the journal forgets a committed answer.
public enum Durability: Sendable, Hashable, CustomStringConvertible {
    /// Nothing beyond the reply: what Redis loses when it fails over, the failover watch looks after.
    case none
    /// That many replicas have the write (`WAIT`).
    case replicas(Int)
    /// The write is on the server's disk (`WAITAOF`, Redis 7.2 and later).
    case appendOnlyFile

    /// The most replicas that can be asked for.
    public static let mostReplicas = 16

    /// Nil unless `text` is `none`, `aof`, or `replicas:N` with N from 1 to ``mostReplicas``.
    public init?(_ text: String) {
        switch text {
        case "none": self = .none
        case "aof": self = .appendOnlyFile
        default:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "replicas", let count = Int(parts[1]),
                (1...Self.mostReplicas).contains(count)
            else { return nil }
            self = .replicas(count)
        }
    }

    public var description: String {
        switch self {
        case .none: "none"
        case .replicas(let count): "replicas:\(count)"
        case .appendOnlyFile: "aof"
        }
    }
}
