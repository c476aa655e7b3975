/// Settings of a ``CurlClient`` that hold for all its requests.
public struct CurlClientConfiguration: Sendable, Equatable {
    /// Connections open at once, to all hosts together; 0 = no limit (default). Requests beyond it wait for a free one,
    /// and their waiting counts towards their connect timeout.
    public var maxConnections: Int

    /// Connections open at once to one host; 0 = no limit. Default 256. Requests beyond it wait, as above.
    public var maxConnectionsPerHost: Int

    /// Idle connections kept for reuse, 1 or more. Default 256.
    public var maxIdleConnections: Int

    /// How long a connection may have been idle to be used again; whole seconds. Default 60 s.
    public var idleReuse: Duration

    /// The same for requests with ``CurlRequest/singleSend``; whole seconds, 0 = always a new connection. Default 5 s.
    /// The longer a connection was idle, the likelier the server closes it just as the request goes out, and then
    /// nobody knows whether the request was read.
    public var singleSendIdleReuse: Duration

    public init(
        maxConnections: Int = 0,
        maxConnectionsPerHost: Int = 256,
        maxIdleConnections: Int = 256,
        idleReuse: Duration = .seconds(60),
        singleSendIdleReuse: Duration = .seconds(5)
    ) {
        self.maxConnections = maxConnections
        self.maxConnectionsPerHost = maxConnectionsPerHost
        self.maxIdleConnections = maxIdleConnections
        self.idleReuse = idleReuse
        self.singleSendIdleReuse = singleSendIdleReuse
    }
}
