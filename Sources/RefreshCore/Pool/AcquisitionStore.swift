/// Whether an account may be acquired now.
public enum AcquisitionPermit: Sendable, Hashable {
    /// Nobody else runs the chain before the hold time is over.
    case granted
    /// Another run is under way, at most until then.
    case underWay(until: WallTime)
    /// The last run was too short a time ago, or failed.
    case notBefore(WallTime, reason: String)
    /// As many as the limits allow have been started today.
    case usedUp(until: WallTime)
}

/// How runs of a pool's chain are kept apart, spaced and counted for the whole fleet.
public protocol AcquisitionStore: Sendable {
    /// - Parameter continues: whether a run that was counted when it began is gone on with: it is not counted again.
    func claim(
        _ pool: PoolName, attempt: AttemptID, limits: AcquisitionLimits, continues: Bool
    ) async throws(StoreError) -> AcquisitionPermit

    /// - Parameter retryAfter: until the next run after a failed one; nil for one that worked.
    func finish(
        _ pool: PoolName, attempt: AttemptID, error: String?, retryAfter: Duration?
    ) async throws(StoreError)
}

/// How a pool fares.
public struct PoolCount: Sendable, Hashable {
    public var members: Int
    /// Those that can give a token now, by tier.
    public var available: [TierName: Int]

    public init(members: Int = 0, available: [TierName: Int] = [:]) {
        self.members = members
        self.available = available
    }

    public var totalAvailable: Int { available.values.reduce(0, +) }
}

/// The pools in the store.
public protocol PoolStore: Sendable {
    /// The accounts of the pool, in the order of their ids.
    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot]
    /// Notes whether the pool is exhausted; the first to note a change makes an event of it.
    ///
    /// - Parameter next: when an account will be available again, where that is known.
    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError)
}

extension AccountSnapshot {
    /// Whether a caller of its pool can be given its token: one that is good, or that a refresh can be expected to bring.
    public func isAvailable(at now: WallTime) -> Bool {
        guard enabled, status != .reauthRequired else { return false }
        return isValid(at: now) || status == .active
    }
}
