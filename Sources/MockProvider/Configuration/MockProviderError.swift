/// Why a configuration, a fault or a server start was refused.
public struct MockProviderError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure this is.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Wrapped: String, Sendable {
            case invalidConfiguration, invalidFault, invalidRequest, listenFailed, stopped
        }

        private let wrapped: Wrapped

        /// A configuration field is out of its range.
        public static let invalidConfiguration = Code(wrapped: .invalidConfiguration)
        /// The text or JSON of a fault is malformed.
        public static let invalidFault = Code(wrapped: .invalidFault)
        /// An argument of a call or of an admin request is missing or out of its range.
        public static let invalidRequest = Code(wrapped: .invalidRequest)
        /// The address could not be bound.
        public static let listenFailed = Code(wrapped: .listenFailed)
        /// The server has ended, or was started twice.
        public static let stopped = Code(wrapped: .stopped)

        public var description: String { wrapped.rawValue }
    }

    public let code: Code
    /// What is wrong and what to do about it.
    public let message: String
    public let underlying: (any Error)?

    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    public var description: String {
        guard let underlying else { return message }
        return "\(message) (\(underlying))"
    }
}
