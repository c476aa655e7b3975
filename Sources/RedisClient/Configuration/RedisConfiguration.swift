/// How to reach a Redis server and how long to wait for it.
///
/// Printing, dumping or reflecting a configuration says only whether user and password are set.
public struct RedisConfiguration: Sendable, Hashable {
    public var deployment: RedisDeployment
    /// The ACL user (Redis ≥ 6). Nil: the default user.
    public var username: String?
    public var password: String?
    /// The database number to `SELECT`, ≥ 0.
    public var database: Int
    /// Nil: no TLS.
    public var tls: RedisTLS?
    /// For one attempt to connect: name resolution, TCP, TLS, authentication and the first PING together. Default 5 s.
    public var connectTimeout: Duration = .seconds(5)
    /// For one question to one Sentinel or Cluster node about where to go, with its connection. Default 1 s.
    public var lookupTimeout: Duration = .seconds(1)
    /// For one command, unless the call names its own. Default 5 s.
    ///
    /// A connection with commands in flight on which no byte arrives for this long is closed.
    public var commandTimeout: Duration = .seconds(5)
    /// An idle connection is asked PING after this long, so that a dead peer is noticed. Default 30 s.
    public var pingInterval: Duration = .seconds(30)
    public var reconnectBackoff = ReconnectBackoff()
    public var limits = RESPLimits()
    /// The name shown by `CLIENT LIST`. Nil: none is set. No spaces or control characters.
    public var clientName: String?
    /// Dedicated connections kept for reuse by ``RedisClient/withConnection(key:_:)``. ≥ 0, default 4.
    public var maxIdleLeases = 4

    public init(
        deployment: RedisDeployment, username: String? = nil, password: String? = nil, database: Int = 0,
        tls: RedisTLS? = nil
    ) {
        self.deployment = deployment
        self.username = username
        self.password = password
        self.database = database
        self.tls = tls
    }

    /// One server at a fixed address.
    public init(
        endpoint: RedisEndpoint, username: String? = nil, password: String? = nil, database: Int = 0,
        tls: RedisTLS? = nil
    ) {
        self.init(
            deployment: .single(endpoint), username: username, password: password, database: database, tls: tls)
    }

    /// The address, where there is one server at a fixed address; nil otherwise.
    public var endpoint: RedisEndpoint? {
        if case .single(let endpoint) = deployment { return endpoint }
        return nil
    }
}

extension RedisConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        func presence(_ value: String?) -> String { value == nil ? "not set" : "set" }
        return """
            Redis at \(deployment), database \(database), TLS \(tls == nil ? "off" : "on"), \
            user \(presence(username)), password \(presence(password))
            """
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["configuration": description]) }
}
