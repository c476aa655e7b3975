import RefreshCore

/// What one run is made of. All of it follows from the seed, unless a directed scenario sets it.
public struct SimulationPlan: Sendable {
    public var seed: UInt64
    public var accounts = 2
    public var instances = 2
    public var rotation = RotationBehaviour.singleUse
    /// Life of access tokens.
    public var lifetime = Duration.seconds(600)
    public var leaseTTL = Duration.seconds(60)
    /// What Redis has to confirm before a claim is used: with a replica, its having the write.
    public var waitsForReplica = false
    /// How far the replica is behind, in milliseconds.
    public var replicaLag: Int64 = 5
    /// How long things go wrong, and how long nothing does afterwards.
    public var chaos = Duration.seconds(3600)
    public var calm = Duration.seconds(3 * 3600)
    public var faults: Set<FaultKind> = []
    /// A fault that can hit any message or step hits one in so many.
    public var odds = 40
    /// Mean time between faults of the whole world.
    public var faultPause = Duration.seconds(60)
    /// Mean time between callers.
    public var callerPause = Duration.seconds(20)
    public var mutation: PlantedMutation?

    /// A run of random shape.
    public init(seed: UInt64) {
        self.seed = seed
        var generator = SplitMix64(seed: seed)
        accounts = Int(generator.pick(1...4))
        instances = Int(generator.pick(2...3))
        rotation = generator.pick([.singleUse, .singleUse, .grace(.seconds(30)), .grace(.zero), .reusable])
        lifetime = .seconds(generator.pick([240, 300, 600, 900, 1800, 3600]))
        leaseTTL = .seconds(generator.pick([60, 120, 300]))
        chaos = max(.seconds(600), min(lifetime * Int(generator.pick(2...3)), .seconds(4000)))
        // A few kinds at a time find more than all at once: most combinations never live long enough otherwise.
        let all = FaultKind.allCases.filter { !Self.lossy.contains($0) }
        if generator.oneIn(4) {
            faults = Set(all)
        } else {
            for _ in 0..<generator.pick(2...9) { faults.insert(generator.pick(all)) }
        }
        if generator.oneIn(3) {
            waitsForReplica = true
            replicaLag = generator.pick([1, 20, 200, 900])
            faults.formUnion(Self.lossy)
            faults.formUnion([.replyLost, .connectionCut])
            // What people write is not waited for, and a failover may take it back.
            faults.subtract([.reauthorization, .loginDuringRefresh, .removal, .accountPaused, .edit])
        }
        // A clock that went from an hour ahead to an hour behind puts things off by two.
        calm = .seconds(faults.contains(.redisClockJump) ? 11_000 : 1200) + lifetime * 2
        odds = Int(generator.pick([8, 20, 60, 150]))
        faultPause = .seconds(generator.pick([15, 40, 120, 300]))
        callerPause = .seconds(generator.pick([10, 30, 60, 180]))
        if generator.oneIn(2) { circuitBreaker = CircuitBreaker(failures: Int(generator.pick([1, 3, 5]))) }
        if generator.oneIn(4) { rateLimit = RateLimit(requests: Int(generator.pick([6, 30])), per: .seconds(60)) }
    }

    /// Faults that lose acknowledged writes.
    static let lossy: Set<FaultKind> = [.failover, .isolatedPrimary]

    var policy: RefreshPolicy {
        RefreshPolicy(
            provider: Self.provider, rotation: rotation, maxConcurrentExchanges: maxConcurrentExchanges,
            rateLimit: rateLimit, circuitBreaker: circuitBreaker)
    }

    /// The provider's, as the fleet knows them.
    public var rateLimit: RateLimit?
    public var circuitBreaker: CircuitBreaker?

    public var maxConcurrentExchanges = 16
    /// Every account is due at the beginning, and its access token ends after this long; nil for accounts that have
    /// just been refreshed.
    public var startsDueUntil: Duration?
    /// Requests the provider takes each second before it throttles; zero for no limit.
    public var providerRate = 0

    static let provider = try! ProviderName("acme")
}
