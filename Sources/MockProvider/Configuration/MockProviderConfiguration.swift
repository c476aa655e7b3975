/// How a ``MockProviderServer`` listens and how the identity provider it plays behaves.
///
/// A plain value; ``validate()`` says what is out of range. ``MockProviderState`` uses all of it but the address.
public struct MockProviderConfiguration: Sendable {
    /// What the provider does with a refresh token that has been used.
    public enum Rotation: Sendable, Hashable {
        /// The refresh token survives its use.
        case reusable
        /// The first use consumes the refresh token and issues a successor; every later use is a reuse.
        case singleUse
        /// Like ``singleUse``, but using the last consumed token again within this time of its first use answers the
        /// same successor again.
        case grace(Duration)
    }

    /// The address to bind. Loopback by default.
    public var host: String
    /// The TCP port, 0…65535; 0 takes a free one.
    public var port: Int
    /// Path of a Unix socket to listen on instead of ``host`` and ``port``. An existing socket file is replaced.
    public var unixSocket: String?

    public var rotation: Rotation
    /// Whether a reuse outside the grace revokes the whole family, access tokens included (RFC 9700 §4.14.2).
    public var reuseDetection: Bool
    /// Lifetime of issued access tokens, 1 ms to 10 years. `expires_in` is this in whole seconds, rounded down.
    public var accessTokenLifetime: Duration
    /// Time between processing a token request and answering it. A caller that gives up during it has already spent
    /// its refresh token.
    public var latency: Duration
    /// A random addition to ``latency``, uniform between zero and this.
    public var latencyJitter: Duration
    /// Answer refreshes without `refresh_token`. Only with ``Rotation/reusable``: otherwise the successor would be
    /// lost at once.
    public var omitRefreshToken: Bool
    /// Answer `expires_in` as a JSON string, as some providers do.
    public var expiresInAsString: Bool

    /// With a value, token requests must name this client, by HTTP basic or in the body (RFC 6749 §2.3.1).
    public var clientID: String?
    /// With a value, the client must also prove it knows this secret. Needs ``clientID``.
    public var clientSecret: String?

    /// How long a device code is good for, 1 s to 1 day, and the time between two questions, 1 s to 1 minute.
    public var deviceCodeLifetime: Duration = .seconds(600)
    public var deviceInterval: Duration = .seconds(1)

    /// Seed of the tokens and of everything random. The same seed and the same calls give the same tokens.
    public var seed: UInt64
    /// The faults in force from the start. The first that applies to a token request is taken.
    public var faults: [MockFault]
    /// How many uses of refresh tokens the ledger keeps in detail (1…100,000,000); the oldest go first. Totals are
    /// exact in any case.
    public var ledgerCapacity: Int

    public init(
        host: String = "127.0.0.1",
        port: Int = 0,
        unixSocket: String? = nil,
        rotation: Rotation = .singleUse,
        reuseDetection: Bool = true,
        accessTokenLifetime: Duration = .seconds(3600),
        latency: Duration = .zero,
        latencyJitter: Duration = .zero,
        omitRefreshToken: Bool = false,
        expiresInAsString: Bool = false,
        clientID: String? = nil,
        clientSecret: String? = nil,
        seed: UInt64 = 1,
        faults: [MockFault] = [],
        ledgerCapacity: Int = 1_000_000
    ) {
        self.host = host
        self.port = port
        self.unixSocket = unixSocket
        self.rotation = rotation
        self.reuseDetection = reuseDetection
        self.accessTokenLifetime = accessTokenLifetime
        self.latency = latency
        self.latencyJitter = latencyJitter
        self.omitRefreshToken = omitRefreshToken
        self.expiresInAsString = expiresInAsString
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.seed = seed
        self.faults = faults
        self.ledgerCapacity = ledgerCapacity
    }

    /// Refuses values that no provider could honour.
    ///
    /// - Throws: ``MockProviderError`` with code `invalidConfiguration` or, for a fault, `invalidFault`.
    public func validate() throws(MockProviderError) {
        func require(_ condition: Bool, _ message: String) throws(MockProviderError) {
            guard condition else { throw MockProviderError(.invalidConfiguration, message) }
        }
        let year = Duration.seconds(365 * 86_400)
        try require((0...65_535).contains(port), "port \(port) is out of range: use 0 (any free port) to 65535")
        try require(unixSocket != "", "the path of the Unix socket is empty: name a file or leave it out")
        try require(
            accessTokenLifetime >= .milliseconds(1) && accessTokenLifetime <= year * 10,
            "the access token lifetime must be between 1 ms and 10 years, not \(accessTokenLifetime)")
        try require(
            latency >= .zero && latency <= .seconds(3600) && latencyJitter >= .zero && latencyJitter <= .seconds(3600),
            "latency and its jitter must be between 0 and 1 hour")
        if case .grace(let grace) = rotation {
            try require(grace > .zero && grace <= year, "the grace must be above 0 and at most 1 year, not \(grace)")
        }
        try require(
            !omitRefreshToken || rotation == .reusable,
            "omitting the refresh token needs reusable rotation: with any other the successor would be lost")
        try require(clientID != "" && clientSecret != "", "the client id and secret may be left out, but not empty")
        try require(clientSecret == nil || clientID != nil, "a client secret needs a client id")
        try require(
            (1...100_000_000).contains(ledgerCapacity),
            "the ledger capacity must be between 1 and 100,000,000 entries, not \(ledgerCapacity)")
        try require(
            deviceCodeLifetime >= .seconds(1) && deviceCodeLifetime <= .seconds(86_400)
                && deviceInterval >= .seconds(1) && deviceInterval <= .seconds(60),
            "a device code lives between 1 s and 1 day, with 1 s to 1 minute between two questions")
        for fault in faults {
            try fault.validate()
        }
    }
}
