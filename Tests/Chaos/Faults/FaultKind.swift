/// The ways in which a run does harm.
enum FaultKind: String, Sendable, CaseIterable, Codable {
    // Processes.
    /// SIGKILL to an instance; it comes back with the same state directory.
    case kill
    case killLeader = "kill-leader"
    /// SIGSTOP for longer than the lock lives, then SIGCONT.
    case pause
    /// The same to the leader, so that it wakes up after another has taken over.
    case pauseLeader = "pause-leader"
    /// The lease is deleted over and over: there are two or three leaders for up to a minute.
    case twoLeaders = "two-leaders"

    // redis-server.
    /// SIGKILL, and a start with what its append-only file holds.
    case redisKill = "redis-kill"
    /// SIGKILL, and the last second of the append-only file is lost, as in a power cut under `everysec`.
    case redisPowerCut = "redis-power-cut"
    /// SIGSTOP for some seconds: connections stand and nothing answers.
    case redisPause = "redis-pause"
    case scriptFlush = "script-flush"
    /// The primary is killed and comes back later as a replica.
    case primaryKill = "primary-kill"
    /// The primary is stopped until another has taken its place, then it goes on.
    case primaryPause = "primary-pause"
    /// The primary hands over to a replica in order.
    case failover
    /// Slots move from one node to another under load.
    case reshard
    /// A replica is killed and comes back.
    case replicaKill = "replica-kill"

    // The wire between an instance and Redis.
    case redisCut = "redis-cut"
    case redisAway = "redis-away"
    case redisDelay = "redis-delay"
    case redisSilence = "redis-silence"
    case redisHalfClose = "redis-half-close"

    // The wire between an instance and the provider.
    case wireCut = "wire-cut"
    /// Nobody listens: connections are refused.
    case wireAway = "wire-away"
    /// Connections are taken and dropped as soon as the request is there, for a moment.
    case wireDrop = "wire-drop"
    case wireDelay = "wire-delay"
    case wireHalfClose = "wire-half-close"
    /// The request gets through, the answer does not.
    case wireLoseAnswer = "wire-lose-answer"

    // The provider.
    case providerErrorBefore = "provider-5xx-before"
    case providerErrorAfter = "provider-5xx-after"
    /// Rotates, and answers after the exchange's deadline.
    case providerSlow = "provider-slow"
    case providerTruncated = "provider-truncated"
    case providerUnparseable = "provider-unparseable"
    case providerThrottle = "provider-throttle"
    /// Rotates, and closes the connection without an answer.
    case providerDrop = "provider-drop"

    // Clocks.
    /// The wall clock of an instance jumps by an hour, and back.
    case clockInstance = "clock-instance"
    /// The wall clock of Redis jumps by an hour, and back.
    case clockRedis = "clock-redis"

    func isPossible(in plan: ChaosPlan) -> Bool {
        switch self {
        case .redisKill, .redisPause, .redisCut, .redisAway, .redisDelay, .redisSilence, .redisHalfClose, .clockRedis:
            plan.topology == .single
        case .redisPowerCut: plan.topology == .single && plan.fsync == .everysec
        case .primaryKill, .primaryPause, .failover, .replicaKill: plan.topology != .single
        case .reshard: plan.topology == .cluster
        default: true
        }
    }

    /// What can keep an answer from an instance on its way.
    static let ofTheWire: Set<FaultKind> = [
        .wireCut, .wireAway, .wireDrop, .wireDelay, .wireHalfClose, .wireLoseAnswer,
    ]
    /// What can keep an instance alone from Redis.
    static let ofTheWireToRedis: Set<FaultKind> = [.redisCut, .redisAway, .redisDelay, .redisSilence, .redisHalfClose]
    static let kills: Set<FaultKind> = [.kill, .killLeader]
    static let pauses: Set<FaultKind> = [.pause, .pauseLeader]
}
