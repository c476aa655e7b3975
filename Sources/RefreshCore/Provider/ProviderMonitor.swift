/// Whether a provider is being asked at present, as the whole fleet sees it.
public struct ProviderCondition: Sendable, Hashable {
    public enum Circuit: String, Sendable, Hashable {
        /// Everybody may ask.
        case closed
        /// Nobody asks before ``ProviderCondition/pausedUntil``.
        case open
        /// The next refresh goes alone, and decides.
        case halfOpen = "half_open"
    }

    public var provider: ProviderName
    /// Nil where nothing is put off.
    public var pausedUntil: WallTime?
    /// Why it is paused or failing.
    public var cause: RefreshFault?
    public var circuit: Circuit
    /// Failures in a row that count for the circuit breaker.
    public var failures: Int

    public init(
        provider: ProviderName, pausedUntil: WallTime? = nil, cause: RefreshFault? = nil, circuit: Circuit = .closed,
        failures: Int = 0
    ) {
        self.provider = provider
        self.pausedUntil = pausedUntil
        self.cause = cause
        self.circuit = circuit
        self.failures = failures
    }
}

/// How the providers do: the port for people who look.
public protocol ProviderMonitor: Sendable {
    /// In the order of `providers`.
    func conditions(of providers: [ProviderName]) async throws(StoreError) -> [ProviderCondition]
}
