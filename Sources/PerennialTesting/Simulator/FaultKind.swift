/// What can go wrong in a simulated run. A run draws the kinds it uses from its seed, and their moments as well.
public enum FaultKind: String, Sendable, Hashable, CaseIterable {
    // Between an instance and Redis.
    case requestLost = "request lost"
    case replyLost = "reply lost"
    case slowRequest = "slow request"
    case slowReply = "slow reply"
    case executedTwice = "executed twice"
    case connectionCut = "connection cut"
    case partition = "partition"
    case subscriptionLost = "subscription lost"
    // Redis itself.
    case redisRestart = "redis restart"
    case redisErrors = "redis errors"
    case redisClockJump = "redis clock jump"
    case eviction = "lock or lease evicted"
    // Acknowledged writes can be lost: needs a durability setting or the failover watch.
    case failover = "failover"
    case isolatedPrimary = "isolated primary"
    // The instance.
    case crash = "crash"
    case powerCut = "power cut"
    case pause = "pause"
    case instanceClockJump = "instance clock jump"
    case stop = "orderly stop"
    case diskFull = "disk full"
    case fsyncError = "fsync error"
    // The provider and the way to it.
    case connectRefused = "connect refused"
    case slowConnect = "slow connect"
    case providerRequestLost = "provider request lost"
    case answerLost = "answer lost"
    case slowAnswer = "slow answer"
    case truncated
    case unparseable
    case refreshTokenOmitted = "refresh token omitted"
    case badGatewayAfter = "502 after rotating"
    case badGatewayBefore = "502 before rotating"
    case throttled
    case misconfigured
    case revokedByUser = "revoked by user"
    // People.
    case reauthorization = "re-authorisation"
    /// The user logs in anew while a refresh is under way, and the provider ends the old session at once.
    case loginDuringRefresh = "log-in during a refresh"
    case removal
    case accountPaused = "account paused"
    case edit = "metadata edit"
    case refusedToken = "401 reported"
    case hangUp = "caller hangs up"
}
