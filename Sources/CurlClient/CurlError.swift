/// Why an exchange did not end with a complete response.
///
/// An HTTP status is never an error here: 4xx and 5xx come back as a ``CurlResponse``.
public struct CurlError: Error, Sendable, Equatable {
    /// The kind of failure. Open to new kinds, so switch with a default.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// A stable lower-case word, fit for a metric label.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The host name could not be resolved.
        public static let resolve = Code("resolve")
        /// No connection to the server.
        public static let connect = Code("connect")
        /// The TLS handshake or the check of the certificate failed.
        public static let tls = Code("tls")
        /// The proxy could not be reached, or refused.
        public static let proxy = Code("proxy")
        /// The connect timeout or the total timeout passed.
        public static let timeout = Code("timeout")
        /// ``CurlRequest/sendBy`` passed before the request could be sent.
        public static let sendByMissed = Code("send_by_missed")
        /// The response is larger than ``CurlRequest/maxResponseBytes``.
        public static let responseTooLarge = Code("response_too_large")
        /// The response began and ended too early.
        public static let truncated = Code("truncated")
        /// The connection failed while the request was being sent.
        public static let send = Code("send")
        /// The request's body was given up, was shorter than announced, or did not come on in time; or the server did not
        /// want the rest of it.
        public static let upload = Code("upload")
        /// The connection failed, or nonsense came, where the response was due.
        public static let receive = Code("receive")
        /// The calling task was cancelled.
        public static let cancelled = Code("cancelled")
        /// The URL is not an absolute http or https URL, or carries credentials.
        public static let malformedURL = Code("malformed_url")
        /// A header cannot be sent as given.
        public static let invalidHeader = Code("invalid_header")
        /// The method is no HTTP token, or method and body do not go together.
        public static let invalidRequest = Code("invalid_request")
        /// The client is, or was in the meantime, shut down.
        public static let shutDown = Code("shut_down")
        /// Anything else; see ``CurlError/curlCode``.
        public static let other = Code("other")
    }

    public let code: Code

    /// True only if no byte of the request can have left: then nothing has happened at the server, and a single-use
    /// credential in the request is still unspent. False means that nobody knows.
    public let unsent: Bool

    /// What went wrong and where (scheme, host and port). Holds no path, query, header, body or credential.
    public let message: String

    /// libcurl's own code (libcurl-errors(3)), where libcurl reported the failure.
    public let curlCode: Int32?

    public init(code: Code, unsent: Bool, message: String, curlCode: Int32? = nil) {
        self.code = code
        self.unsent = unsent
        self.message = message
        self.curlCode = curlCode
    }
}

extension CurlError: CustomStringConvertible {
    public var description: String {
        "\(code)\(unsent ? " (request not sent)" : ""): \(message)"
    }
}
