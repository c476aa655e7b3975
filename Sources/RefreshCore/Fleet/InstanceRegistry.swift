/// What an instance tells the fleet about itself.
public struct InstanceInfo: Sendable, Hashable, Codable {
    public var id: String
    public var host: String
    public var pid: Int
    public var version: String
    /// Milliseconds since 1970 on the fleet's clock.
    public var startedAt: Int64
    public var seenAt: Int64
    /// Addresses it listens on: `HOST:PORT` or `unix:PATH`.
    public var listen: [String]
    /// Whether it stands for election.
    public var isProactive: Bool
    public var isLeader: Bool
    /// Refreshes it has committed since it started.
    public var refreshes: Int
    /// Commands a day that it sends to the store, by its own forecast; nil as long as it has none.
    public var commandsPerDay: Int?

    public init(
        id: String, host: String, pid: Int, version: String, startedAt: Int64, seenAt: Int64, listen: [String],
        isProactive: Bool, isLeader: Bool, refreshes: Int, commandsPerDay: Int? = nil
    ) {
        self.id = id
        self.host = host
        self.pid = pid
        self.version = version
        self.startedAt = startedAt
        self.seenAt = seenAt
        self.listen = listen
        self.isProactive = isProactive
        self.isLeader = isLeader
        self.refreshes = refreshes
        self.commandsPerDay = commandsPerDay
    }
}

/// The instances of the fleet, as they announce themselves; informative, nothing rests on it.
public protocol InstanceRegistry: Sendable {
    /// - Parameter ttl: how long the announcement counts without a new one.
    func announce(_ instance: InstanceInfo, ttl: Duration) async throws(StoreError)
    func withdraw(_ instance: InstanceID) async throws(StoreError)
    /// Those seen within their ttl.
    func instances() async throws(StoreError) -> [InstanceInfo]
}
