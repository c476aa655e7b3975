public import RefreshCore

/// What carries calls to upstreams.
public protocol Upstream: Sendable {
    /// Returns when the head of the final answer is there.
    ///
    /// - Parameter informational: is given 1xx heads before that, from any thread.
    func open(
        _ call: UpstreamCall, informational: @escaping @Sendable (GatewayAnswerHead) -> Void
    ) async throws(UpstreamFailure) -> any UpstreamAnswer
}

/// An answer that is coming in. Used by one task at a time.
public protocol UpstreamAnswer: Sendable {
    var head: GatewayAnswerHead { get }

    /// The next piece of the body as it came over the wire; nil at its complete end.
    func next() async throws(UpstreamFailure) -> [UInt8]?

    /// As ``next()``, but waits no longer than `limit`. What comes later is there for the next call.
    ///
    /// - Returns: empty where nothing came in time.
    func next(within limit: Duration) async throws(UpstreamFailure) -> [UInt8]?

    /// Known after the end.
    var trailers: [HeaderField] { get }

    /// Closes the call at once, if it has not ended. What is dropped without it ends likewise.
    func cancel()
}

/// One try, ready to be sent.
public struct UpstreamCall: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Pieces up to nil. Nil as length: not known. An ``UpstreamFailure`` that the source throws is what the call ends
        /// with, where its answer has not begun.
        case stream(length: Int64?, @Sendable () async throws -> [UInt8]?)
    }

    public var method: String
    public var head: OutgoingHead
    public var body: Body
    /// Of the account; nil: directly.
    public var proxy: ProxyServer?
    /// For an `https://` proxy.
    public var proxyCAFile: String?
    public var caFile: String?
    public var connect: Duration
    /// For the answer's head, counted from each byte of the request that leaves.
    public var firstByte: Duration
    /// For the answer's head, counted from the beginning.
    public var untilHead: Duration
    public var idle: Duration

    public init(
        method: String, head: OutgoingHead, body: Body = .none, proxy: ProxyServer? = nil, proxyCAFile: String? = nil,
        caFile: String? = nil, connect: Duration, firstByte: Duration, untilHead: Duration, idle: Duration
    ) {
        self.method = method
        self.head = head
        self.body = body
        self.proxy = proxy
        self.proxyCAFile = proxyCAFile
        self.caFile = caFile
        self.connect = connect
        self.firstByte = firstByte
        self.untilHead = untilHead
        self.idle = idle
    }
}

/// Why there is no answer, or no more of it. Holds no path, query, header or credential.
public struct UpstreamFailure: Error, Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// No connection: name, TCP or TLS.
        case unreachable
        /// The proxy of the account could not be used.
        case proxy
        /// A time limit has passed.
        case timeout
        /// The connection ended too early, or what came is not HTTP.
        case broken
        /// The request cannot be sent as it is.
        case invalid
        /// The token cannot be sent.
        case token
        /// The caller has gone away.
        case cancelled
        /// The caller's body ended too early: what the upstream got of it is not the request.
        case body
        /// The caller's body came too slowly.
        case slowBody = "slow_body"
        /// This machine is at fault: what was kept of the caller's body cannot be read back.
        case local
        case shutDown = "shut_down"
    }

    public var kind: Kind
    /// No byte of the request can have left.
    public var isUnsent: Bool
    public var message: String

    public init(_ kind: Kind, isUnsent: Bool, _ message: String) {
        self.kind = kind
        self.isUnsent = isUnsent
        self.message = message
    }
}
