/// Status line and headers of one response, final or informational (1xx).
public struct CurlResponseHead: Sendable {
    /// 100…999, as sent by the server.
    public var status: Int

    /// The reason phrase as sent; empty where there is none, as in HTTP/2.
    public var reason: String

    /// In the order in which they came, repeated ones too. Line folding, and CR and NUL within a value, are replaced by
    /// blanks (RFC 9112 §5.2, RFC 9110 §5.5), bytes that are no UTF-8 by U+FFFD.
    public var headers: [(name: String, value: String)]

    public var httpVersion: CurlHTTPVersion

    public init(
        status: Int, reason: String = "", headers: [(name: String, value: String)] = [],
        httpVersion: CurlHTTPVersion = .http11
    ) {
        self.status = status
        self.reason = reason
        self.headers = headers
        self.httpVersion = httpVersion
    }

    /// The value of the first header of this name; upper and lower case are the same (RFC 9110 §5.1).
    public func first(_ name: String) -> String? { HeaderName.first(name, in: headers) }
}

extension CurlResponseHead: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "\(status) \(httpVersion.rawValue) (\(headers.count) headers)" }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: []) }
}
