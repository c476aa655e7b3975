import RedisClient
import RefreshCore

/// Every key and channel name there is. Nothing else in the project spells one.
///
/// Accounts are spread over partitions; the keys of a partition share the hash tag `{N}`, so each script touches one
/// slot and Redis Cluster just works.
public struct Keys: Sendable, Hashable {
    public let prefix: String
    public let partitions: Int

    public init(prefix: String = "perennial", partitions: Int = 1) {
        self.prefix = prefix
        self.partitions = max(1, partitions)
    }

    /// How many partitions a new store gets: 1 where one server holds everything, 64 on a Cluster, where they spread
    /// over the nodes. An old store keeps the number it was made with; see ``StoreMeta``.
    public static func partitions(on deployment: RedisDeployment) -> Int { deployment.isCluster ? 64 : 1 }

    // MARK: Of an account

    /// Hash: everything about the account; its secrets are sealed.
    public func account(_ id: AccountID) -> String { partition(partitionNumber(id), "account:\(id.rawValue)") }
    /// String with TTL: the attempt that holds the lock.
    public func lock(_ id: AccountID) -> String { partition(partitionNumber(id), "lock:\(id.rawValue)") }
    /// List: sealed responses that came too late, and credentials that a restored one has replaced.
    public func orphans(_ id: AccountID) -> String { partition(partitionNumber(id), "orphans:\(id.rawValue)") }

    // MARK: Of a partition

    /// Sorted set per provider: account id by the time at which its next proactive refresh is due, in ms.
    ///
    /// One per provider, so that a provider which is paused or busy is passed over without looking at its accounts.
    public func due(_ partition: Int, _ provider: ProviderName) -> String {
        self.partition(partition, "due:\(provider.rawValue)")
    }
    /// Sorted set, all scores 0: the ids of the partition's accounts, in order.
    public func accounts(_ partition: Int) -> String { self.partition(partition, "accounts") }
    /// Hash: those of the partition's accounts that are in a pool, by its name.
    public func pooled(_ partition: Int) -> String { self.partition(partition, "pooled") }
    /// Hash: provider by the time until which it is paused and why; beside it, under `rate PROVIDER` and
    /// `breaker PROVIDER`, the states of its rate limit and circuit breaker.
    public func pauses(_ partition: Int) -> String { self.partition(partition, "pauses") }
    /// Stream, capped: what happened.
    public func events(_ partition: Int) -> String { self.partition(partition, "events") }

    /// Hash: what the fleet has told in its events about itself: leader, outages, misconfigured providers. It shares its
    /// slot with the stream of partition 0, which those events go to.
    public var fleet: String { partition(0, "fleet") }
    /// Hash: webhook endpoint by how far it has got with the partition's stream; in partition 0 also how it fares.
    public func webhooks(_ partition: Int) -> String { self.partition(partition, "webhooks") }
    /// Stream, capped: events that a webhook endpoint did not take.
    public func deadLetters(_ partition: Int) -> String { self.partition(partition, "webhooks:dead") }

    // MARK: Of the fleet

    /// Hash: number of partitions, checks of the sealing keys.
    public var meta: String { "\(prefix):meta" }
    /// String with TTL: the scan lease. It shares its slot with the epoch, because one script moves both.
    public var leader: String { "\(prefix):{leader}" }
    /// Counter that grows with each reign.
    public var leaderEpoch: String { "\(prefix):{leader}:epoch" }
    /// Hash: fingerprint of a refresh token that was put, to the account it was put for.
    public var fingerprints: String { "\(prefix):fingerprints" }
    /// Hash: instance id to what it says of itself.
    public var instances: String { "\(prefix):instances" }
    /// Hash: the run of a pool's acquisition chain that is under way, when the next may start, how many there were today.
    public func acquisition(_ pool: PoolName) -> String { "\(prefix):{pool:\(pool.rawValue)}:acquisition" }
    /// Hash: account, or account and dimension, of a pool by its cool-down; see ``CooldownText``.
    public func cooldowns(_ pool: PoolName) -> String { "\(prefix):{pool:\(pool.rawValue)}:cooldowns" }
    /// Sorted set: the fields of that hash by the time at which they are forgotten, in ms.
    public func cooldownsForgotten(_ pool: PoolName) -> String { "\(cooldowns(pool)):forgotten" }
    /// Sorted set with TTL: the calls that use the account at present, by the time at which they count as over, in ms. Only
    /// where the pool limits them.
    public func slots(_ pool: PoolName, _ account: AccountID) -> String {
        "\(prefix):{pool:\(pool.rawValue)}:slots:\(account.rawValue)"
    }
    /// Channel: account, generation, outcome; leader released.
    public var changes: String { "\(prefix):changes" }

    /// The partition that counts the refreshes of a provider with a rate limit, where accounts lie in many.
    public func home(of provider: ProviderName) -> Int { partitionNumber(provider.rawValue) }

    /// The partition of an account: FNV-1a over its id, so every version and language agrees.
    public func partitionNumber(_ id: AccountID) -> Int { partitionNumber(id.rawValue) }

    private func partitionNumber(_ name: String) -> Int {
        guard partitions > 1 else { return 0 }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        return Int(hash % UInt64(partitions))
    }

    private func partition(_ number: Int, _ name: String) -> String { "\(prefix):{\(number)}:\(name)" }
}
