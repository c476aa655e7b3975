enum Topology: String, Sendable, CaseIterable, Codable {
    case single, sentinel, cluster
}

/// What a provider does with a used refresh token.
enum Rotation: String, Sendable, CaseIterable, Codable {
    /// Its second use kills the account.
    case singleUse = "single_use"
    /// Its second use within 30 s gets the same answer again.
    case grace

    /// The name of the provider in the instances' configuration.
    var provider: String { self == .grace ? "grace" : "strict" }
    /// As `mock-provider --rotation` takes it.
    var option: String { self == .grace ? "grace:30s" : rawValue }
    /// As a provider's configuration says it.
    var setting: String { self == .grace ? "{ grace: 30s }" : rawValue }
}

enum Fsync: String, Sendable, CaseIterable, Codable {
    case always, everysec
}

/// What a run does, before it does anything.
struct ChaosPlan: Sendable {
    var topology: Topology
    var duration: Duration
    var instances: Int
    var accounts: Int
    var lifetime: Duration
    /// A provider for each; the accounts are spread over them.
    var rotations: [Rotation]
    var fsync: Fsync
    /// `redis.durability`; nil leaves the default.
    var durability: String?
    var seed: UInt64
    /// Reads a second.
    var rate: Int
    var faults: [FaultKind] = []

    init(
        topology: Topology, duration: Duration, instances: Int, accounts: Int, lifetime: Duration,
        rotations: [Rotation], fsync: Fsync, durability: String?, seed: UInt64, rate: Int
    ) {
        self.topology = topology
        self.duration = duration
        self.instances = instances
        self.accounts = accounts
        self.lifetime = lifetime
        self.rotations = rotations
        self.fsync = fsync
        self.durability = durability
        self.seed = seed
        self.rate = rate
        faults = FaultKind.allCases.filter { $0.isPossible(in: self) }
    }

    // The times of the instances' configuration. Short, so that tokens of 15 s make sense, and consistent:
    // lock TTL ≥ send-by + exchange deadline + 1 s.
    static let sendBy = Duration.milliseconds(500)
    static let exchangeDeadline = Duration.seconds(2)
    static let lockTTL = Duration.seconds(4)
    static let leaseTTL = Duration.seconds(2)
    /// How long the provider thinks about a token request.
    static let latency = Duration.milliseconds(50)
    /// How long a stopped process stays stopped, in milliseconds: longer than the lock lives.
    static let pause = Int64(4500)...Int64(7000)

    /// From one fault to the next, in milliseconds.
    static let gap = Int64(2500)...Int64(5500)

    /// The last instance runs under a clock that can be turned.
    var turnedInstance: Int? { faults.contains(.clockInstance) ? instances : nil }
}
