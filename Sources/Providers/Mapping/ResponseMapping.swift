/// Where the values stand in the answer of a token endpoint. Of several pointers the first that names something
/// usable counts.
public struct ResponseMapping: Sendable, Hashable {
    /// How a time or a span of time is written.
    public enum TimeUnit: String, Sendable, Hashable, CaseIterable {
        case seconds
        case milliseconds
        /// RFC 3339, for points in time.
        case iso8601
        /// A JSON Web Token whose `exp` claim counts.
        case jwt
        /// A span: seconds. A point in time: RFC 3339 where it is no number, and a number beyond the year 5138 counts
        /// as milliseconds.
        case auto
    }

    /// A place that holds a time or a span. A number may also be given as text.
    public struct TimeSource: Sendable, Hashable {
        public var pointer: JSONPointer
        public var unit: TimeUnit

        public init(_ pointer: JSONPointer, unit: TimeUnit = .auto) {
            self.pointer = pointer
            self.unit = unit
        }
    }

    public var accessToken: [JSONPointer]
    public var refreshToken: [JSONPointer]
    public var tokenType: [JSONPointer]
    /// The life of the access token, from the request on.
    public var expiresIn: [TimeSource]
    public var expiresAt: [TimeSource]
    /// When the grant itself ends, and a new log-in will be needed.
    public var refreshExpiresIn: [TimeSource]
    public var refreshExpiresAt: [TimeSource]
    /// The most telling first.
    public var errorCode: [JSONPointer]
    public var errorDescription: [JSONPointer]

    /// RFC 6749 §5.1 and §5.2, and what many providers do besides.
    public static let standard = ResponseMapping(
        accessToken: [["access_token"]], refreshToken: [["refresh_token"]], tokenType: [["token_type"]],
        expiresIn: [["expires_in"]], expiresAt: [["expires_at"]],
        refreshExpiresIn: [["refresh_expires_in"], ["refresh_token_expires_in"]],
        refreshExpiresAt: [["refresh_expires_at"], ["refresh_token_expires_at"]],
        errorCode: [["error"], ["error", "code"], ["error", "type"]],
        errorDescription: [["error_description"], ["error", "message"]])

    private init(
        accessToken: [[String]], refreshToken: [[String]], tokenType: [[String]], expiresIn: [[String]],
        expiresAt: [[String]], refreshExpiresIn: [[String]], refreshExpiresAt: [[String]], errorCode: [[String]],
        errorDescription: [[String]]
    ) {
        func pointers(_ places: [[String]]) -> [JSONPointer] { places.map { JSONPointer(tokens: $0) } }
        func times(_ places: [[String]]) -> [TimeSource] { pointers(places).map { TimeSource($0) } }
        self.accessToken = pointers(accessToken)
        self.refreshToken = pointers(refreshToken)
        self.tokenType = pointers(tokenType)
        self.expiresIn = times(expiresIn)
        self.expiresAt = times(expiresAt)
        self.refreshExpiresIn = times(refreshExpiresIn)
        self.refreshExpiresAt = times(refreshExpiresAt)
        self.errorCode = pointers(errorCode)
        self.errorDescription = pointers(errorDescription)
    }
}
