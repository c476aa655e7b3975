/// What went wrong with a command or a connection, told so that the caller knows whether the command may have run.
public struct RedisError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. New kinds may be added.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case unavailable, unknownOutcome, timeout, cancelled, server, protocolViolation, configuration, misuse,
                closed
        }
        private let kind: Kind

        /// The command was not sent: the server is away.
        public static let unavailable = Code(kind: .unavailable)
        /// The command was sent and the connection ended before its reply: nobody knows whether it ran.
        public static let unknownOutcome = Code(kind: .unknownOutcome)
        /// The command was sent and no reply came by its deadline: nobody knows whether it ran.
        public static let timeout = Code(kind: .timeout)
        /// The calling task was cancelled; see ``RedisError/mayHaveExecuted``.
        public static let cancelled = Code(kind: .cancelled)
        /// The server answered with an error: ``RedisError/serverError``.
        public static let server = Code(kind: .server)
        /// The peer broke the protocol or a reply exceeded ``RESPLimits``; the connection was closed.
        public static let protocolViolation = Code(kind: .protocolViolation)
        /// The configuration cannot be used: a malformed URL, an unreadable certificate.
        public static let configuration = Code(kind: .configuration)
        /// A command that does not belong on a shared connection, or one that is too large. It was not sent.
        public static let misuse = Code(kind: .misuse)
        /// The client has been shut down. The command was not sent.
        public static let closed = Code(kind: .closed)

        public var description: String { kind.rawValue }
    }

    public var code: Code
    /// What happened and what to check. Never contains a password.
    public var message: String
    /// The reply of the server where ``code`` is ``Code/server``, or where it refused a connection.
    public var serverError: RedisServerError?
    public var underlying: (any Error)?
    /// Whether the command can have run on the server. False is proof that it did not.
    ///
    /// True for most server errors too: a script may fail half way, after it has written. False for redirects and for
    /// READONLY.
    public var mayHaveExecuted: Bool

    public init(
        _ code: Code, _ message: String, serverError: RedisServerError? = nil, underlying: (any Error)? = nil,
        mayHaveExecuted: Bool? = nil
    ) {
        self.code = code
        self.message = message
        self.serverError = serverError
        self.underlying = underlying
        let sent: Set<Code> = [.unknownOutcome, .timeout, .server, .protocolViolation, .cancelled]
        self.mayHaveExecuted = mayHaveExecuted ?? sent.contains(code)
    }

    /// With these Redis turns a command away before it has done anything: another node serves the slot, or will soon;
    /// or the server is a replica, where not even a script can write.
    private static let turnedAway: Set<String> = ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY"]

    static func server(_ error: RedisServerError) -> RedisError {
        RedisError(
            .server, "Redis answered: \(error)", serverError: error,
            mayHaveExecuted: !turnedAway.contains(error.code))
    }

    public var description: String { "\(code): \(message)" }
}
