/// What instances tell each other over `perennial:changes`.
public struct AccountChange: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        case refreshed, failed, refused, added, edited, removed

        /// Whether the account may be due earlier than the leader knows. After a failure too: where a caller's own
        /// refresh got no answer, a provider's grace ends long before the leader would look again.
        public var movesSchedule: Bool { self == .added || self == .edited || self == .failed }
    }

    public var account: AccountID
    public var generation: Generation
    public var outcome: Outcome

    public init(account: AccountID, generation: Generation, outcome: Outcome) {
        self.account = account
        self.generation = generation
        self.outcome = outcome
    }
}

/// What comes out of the subscription to the changes of the fleet.
public enum FleetSignal: Sendable, Hashable {
    /// The subscription stands (again): everything remembered from before is to be dropped.
    case connected
    case disconnected
    case changed(AccountChange)
    /// The leader has let go of the lease.
    case leaderReleased
    /// There is an event that no change of an account goes with.
    case eventsAppended(partition: Int)
    /// A provider that was paused works again: what was put off may be due.
    case providerResumed
    /// An account of the pool cools down, or does not any more.
    case cooldownChanged(PoolName, Versioned<CooldownChange>)
}

/// The fleet's broadcast: at most once, so nothing but speed may rest on it.
public protocol ChangeFeed: Sendable {
    func signals() -> AsyncStream<FleetSignal>
}
