public import RefreshCore

/// How Redis is used.
public enum RedisProfile: String, Sendable, Hashable, CaseIterable {
    /// A server of one's own: commands cost nothing.
    case standard
    /// A service that bills each command and supports only part of them.
    case hosted
}

/// Which Redis, and how to get there.
public struct RedisSettings: Sendable, Hashable {
    /// `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`. May hold a password. Nil: Perennial runs a redis-server of its own.
    public var url: Secret?
    public var username: String?
    public var password: Secret?
    /// PEM files.
    public var caFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    /// The name that the server's certificate is checked against, where it is not the host of the URL.
    public var serverName: String?
    /// What all keys begin with.
    public var prefix = "perennial"
    public var commandTimeout: Duration = .seconds(5)
    /// What Redis has to confirm before a refresh token is sent and before the journal forgets its answer.
    public var durability = Durability.none
    /// How long that is waited for; shorter than each provider's `send_by`.
    public var durabilityTimeout: Duration = .seconds(1)
    public var profile = RedisProfile.standard
    /// Commands a day, over the whole fleet, from which on a forecast is a warning. Nil: none.
    public var commandBudget: Int?
    /// An idle connection is asked PING after this long.
    public var pingInterval: Duration = .seconds(30)
    /// How often an instance tells the fleet that it is there.
    public var heartbeatInterval: Duration = .seconds(10)

    public init(url: Secret? = nil, prefix: String = "perennial", commandTimeout: Duration = .seconds(5)) {
        self.url = url
        self.prefix = prefix
        self.commandTimeout = commandTimeout
    }

    public var isEmbedded: Bool { url == nil }
}

/// Where the key that seals secrets in Redis comes from.
public enum SealingSource: Sendable, Hashable {
    case file(String)
    /// The key itself, in base64.
    case key(Secret)
}

/// Proactive refresh and its bounds.
public struct RefreshSettings: Sendable, Hashable {
    /// Whether this instance stands for election as the leader, which refreshes ahead of expiry.
    public var proactive = true
    /// Upper bound of a sleep of the scheduler, and the beat of its summary line.
    public var interval: Duration = .seconds(15 * 60)
    /// The window of providers that give none of their own.
    public var window: Duration = .seconds(5 * 60)
    /// Refreshes under way at once, over all providers.
    public var maxConcurrent = 128
    /// After how long a waiter rereads when nobody has woken it.
    public var fallbackReread: Duration = .milliseconds(250)

    public init() {}
}

/// The levels of swift-log.
public enum LogLevel: String, Sendable, Hashable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// One readable line an event.
    case text
    /// One JSON object an event.
    case json
}

/// What the command line says; it wins over the environment and the file.
public struct ConfigurationOverrides: Sendable, Hashable {
    /// Replaces all addresses; empty leaves them.
    public var listen: [String]
    public var stateDirectory: String?
    public var logLevel: LogLevel?
    public var logFormat: LogFormat?
    public var proactive: Bool?

    public init(
        listen: [String] = [], stateDirectory: String? = nil, logLevel: LogLevel? = nil, logFormat: LogFormat? = nil,
        proactive: Bool? = nil
    ) {
        self.listen = listen
        self.stateDirectory = stateDirectory
        self.logLevel = logLevel
        self.logFormat = logFormat
        self.proactive = proactive
    }
}
