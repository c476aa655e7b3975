/// A request to the gateway, without its body.
public struct GatewayRequest: Sendable {
    public enum Body: Sendable, Hashable {
        case none
        /// Bytes that are announced.
        case length(Int64)
        /// Chunked: nobody knows.
        case unknown
    }

    /// As it came: methods are case-sensitive (RFC 9110 §9.1).
    public var method: String
    /// The target of the request line.
    public var target: String
    public var headers: [HeaderField]
    public var body: Body
    /// The text of the caller's key where it came as `Authorization: Bearer`.
    public var isKeyInAuthorization: Bool

    public init(
        method: String, target: String, headers: [HeaderField], body: Body = .none, isKeyInAuthorization: Bool = false
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.isKeyInAuthorization = isKeyInAuthorization
    }

    /// Whether an `Authorization` is, or looks like, a key of Perennial's, which goes nowhere.
    func isCallerKey(_ authorization: String) -> Bool {
        isKeyInAuthorization || authorization.split(separator: " ").last?.hasPrefix("prn_") == true
    }

    func header(_ name: String) -> String? { AnswerHeaders.value(name, in: headers) }
}

/// The head of an answer.
public struct GatewayAnswerHead: Sendable {
    public var status: Int
    /// Empty where the upstream gave none, as in HTTP/2.
    public var reason: String
    public var headers: [HeaderField]

    public init(status: Int, reason: String = "", headers: [HeaderField] = []) {
        self.status = status
        self.reason = reason
        self.headers = headers
    }
}

/// How the end of an answer's body is told.
public enum AnswerFraming: Sendable, Hashable {
    /// There is none: of HEAD, 204 and 304. A `Content-Length` among the headers is that of the body that there would be.
    case bodiless
    /// By a `Content-Length`, which is not among the headers: whoever writes the head adds it.
    case length(Int64)
    /// By the last chunk, with trailers where there are some.
    case chunked
}

/// Why nothing more comes from a caller, or goes to it.
public enum CallerFault: Error, Sendable, Hashable {
    /// The connection is gone, or the instance is being shut down.
    case gone
    /// The body is not HTTP, or ended too early.
    case malformed
    /// The next piece of the body did not come in time.
    case slow
}

/// The caller's side of one call: the port that a server implements. Used by one task at a time.
///
/// Whoever serves it cancels the task when the caller goes away.
public protocol GatewayCaller: Sendable {
    var request: GatewayRequest { get }

    /// The next piece of the request's body; nil at its end. The first call lets a caller go on that has sent
    /// `Expect: 100-continue`.
    func readBody(within limit: Duration) async throws(CallerFault) -> [UInt8]?

    /// Passes on an informational answer (1xx) before the final one.
    func inform(_ head: GatewayAnswerHead)

    /// Begins the answer. Once only; nothing need have left before ``flush()``.
    func begin(_ head: GatewayAnswerHead, framing: AnswerFraming) async throws(CallerFault)

    /// A piece of the answer's body. Waits while the caller does not read; sends all of what is written if `flushes`.
    func write(_ bytes: [UInt8], flushes: Bool) async throws(CallerFault)

    /// Sends what has been written.
    func flush()

    /// The answer is complete.
    func end(trailers: [HeaderField]) async throws(CallerFault)
}
