public import Gateway
import RefreshCore

/// Whether this instance can do its work, and what keeps it from it.
public struct ReadinessReport: Sendable, Hashable {
    public var ready: Bool
    /// Sentences for people, one per obstacle.
    public var reasons: [String]
    /// Each check by name: `ok`, or what is wrong.
    public var checks: [String: String]

    public init(ready: Bool, reasons: [String] = [], checks: [String: String] = [:]) {
        self.ready = ready
        self.reasons = reasons
        self.checks = checks
    }
}

/// Everything the API works on, as ports: nothing here knows Redis or the configuration.
public struct APIBackend: Sendable {
    public var reader: TokenReader
    public var coordinator: RefreshCoordinator
    public var directory: any AccountDirectory
    public var orphans: any OrphanStore
    public var policies: any PolicySource
    public var intake: AccountIntake
    public var instances: any InstanceRegistry
    public var providers: any ProviderMonitor
    public var time: any TimeSource
    /// Nil where no pools are configured.
    public var pools: PoolDesk?
    public var readiness: @Sendable () async -> ReadinessReport
    public var version: String
    /// Called after this API has added, changed or removed an account, besides what the store announces.
    public var accountChanged: @Sendable (AccountChange) -> Void
    /// Nil where no routes are configured.
    public var gateway: Gateway?
    /// All metrics of this process as Prometheus reads them; nil where it keeps none.
    public var metrics: (@Sendable () -> [UInt8])?
    let sharedReads = SharedReads()

    public init(
        reader: TokenReader, coordinator: RefreshCoordinator, directory: any AccountDirectory,
        orphans: any OrphanStore, policies: any PolicySource, intake: AccountIntake,
        instances: any InstanceRegistry, providers: any ProviderMonitor, time: any TimeSource,
        pools: PoolDesk? = nil, readiness: @escaping @Sendable () async -> ReadinessReport, version: String,
        gateway: Gateway? = nil, metrics: (@Sendable () -> [UInt8])? = nil,
        accountChanged: @escaping @Sendable (AccountChange) -> Void = { _ in }
    ) {
        self.metrics = metrics
        self.gateway = gateway
        self.reader = reader
        self.coordinator = coordinator
        self.directory = directory
        self.orphans = orphans
        self.policies = policies
        self.intake = intake
        self.instances = instances
        self.providers = providers
        self.time = time
        self.pools = pools
        self.readiness = readiness
        self.version = version
        self.accountChanged = accountChanged
    }

    /// Makes this instance forget what it remembers of the account, so that the caller who changed it sees the
    /// change at once, whether or not the fleet's broadcast arrives.
    func noteChange(_ change: AccountChange) async {
        let deck = coordinator.deck
        if change.outcome == .removed { deck.cache.forget(change.account) } else { deck.cache.invalidate(change) }
        sharedReads.detach(change.account)
        pools?.accountChanged(change)
        deck.hub.signal(change.account)
        accountChanged(change)
    }
}
