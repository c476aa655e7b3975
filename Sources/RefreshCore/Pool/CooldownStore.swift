/// What the store has said, with a number by which it is told which of two answers is newer: replies and announcements reach
/// the memory of an instance in any order.
public struct Versioned<Value: Sendable>: Sendable {
    public var value: Value
    /// Grows with every change of the pool's cool-downs, and counts on after the loss of what was stored: it is the time of
    /// the change in ms, or one more than that of the last one.
    public var version: Int64

    public init(_ value: Value, version: Int64) {
        self.value = value
        self.version = version
    }
}

extension Versioned: Equatable where Value: Equatable {}
extension Versioned: Hashable where Value: Hashable {}

/// The cool-downs of pools, for the whole fleet. What changes is announced to all instances.
public protocol CooldownStore: Sendable {
    /// All that are remembered, those that are over included.
    func cooldowns(of pool: PoolName) async throws(StoreError) -> Versioned<[Cooldown]>

    /// Begins one, or changes the one that runs, by the rule of ``CooldownOrder/apply(to:now:)``.
    func cool(_ order: CooldownOrder) async throws(StoreError) -> Versioned<Cooldown>

    /// Takes the one try that a running cool-down allows (``Cooldown/allowsProbe(at:)``); nil where there is none to take.
    func probe(_ key: CooldownKey, of pool: PoolName, attempt: AttemptID) async throws(StoreError) -> Versioned<
        Cooldown
    >?

    /// A call has worked: forgets those that are over, and ends a running one if `attempt` is its probe.
    ///
    /// - Returns: those that are forgotten.
    func worked(
        _ keys: [CooldownKey], of pool: PoolName, attempt: AttemptID?
    ) async throws(StoreError) -> Versioned<[CooldownKey]>

    /// Ends and forgets them.
    ///
    /// - Returns: those that there were.
    func release(_ keys: [CooldownKey], of pool: PoolName) async throws(StoreError) -> Versioned<[CooldownKey]>
}

/// How many cool-downs of a pool are kept for models and scopes; further ones drive out those that end first.
public enum CooldownLimits {
    public static let mostWithDimension = 2000
}

/// Counts the calls that use the accounts of a pool at the same time, for the whole fleet.
public protocol SlotStore: Sendable {
    /// Takes a slot of the first of `accounts` that has less than `most` taken.
    ///
    /// - Parameters:
    ///   - accounts: at most 16.
    ///   - ttl: after which the slot is free again whatever happens.
    /// - Returns: nil when all have their slots taken.
    func take(
        _ attempt: AttemptID, of accounts: [AccountID], in pool: PoolName, most: Int, ttl: Duration
    ) async throws(StoreError) -> AccountID?

    /// Keeps a slot that is taken for another `ttl` from now.
    ///
    /// - Returns: false where it is taken no more.
    func renew(
        _ attempt: AttemptID, of account: AccountID, in pool: PoolName, ttl: Duration
    ) async throws(StoreError) -> Bool

    func free(_ attempt: AttemptID, of account: AccountID, in pool: PoolName) async throws(StoreError)
}
