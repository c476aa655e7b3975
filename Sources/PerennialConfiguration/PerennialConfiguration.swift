public import Gateway
public import Providers
public import RefreshCore
public import Webhooks

/// Everything an instance is told before it starts. A plain value: tests and the demo make it in memory, the
/// composition root reads it with ``load(file:environment:overrides:)``.
public struct PerennialConfiguration: Sendable, Hashable {
    /// Never empty.
    public var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 8700)]
    /// Where journal, embedded Redis, and the instance's identity are kept.
    public var stateDirectory: String
    public var redis = RedisSettings()
    /// Nil: a key made at the first start in the state directory, which only embedded Redis allows.
    public var sealing: SealingSource?
    /// The file with the hashed keys of callers.
    public var authKeysFile: String?
    public var refresh = RefreshSettings()
    /// Life of the leader's lease without renewal.
    public var leaseTTL: Duration = .seconds(5)
    public var logLevel: LogLevel = .info
    public var logFormat: LogFormat = .text
    public var providers: ProviderCatalog
    /// Where events are sent to.
    public var webhooks = WebhookCatalog()
    /// Tokens that stand in for those of accounts while there is nothing else.
    public var fallbacks: [AccountID: FallbackToken] = [:]
    public var pools = PoolCatalog()
    /// What the gateway calls.
    public var routes = RouteCatalog()
    /// Where the gateway keeps large bodies of requests.
    public var spill = SpillSettings()
    /// The same for pools none of whose accounts has a token.
    public var poolFallbacks: [PoolName: FallbackToken] = [:]

    public init(stateDirectory: String, providers: ProviderCatalog = ProviderCatalog()) {
        self.stateDirectory = stateDirectory
        self.providers = providers
    }
}
