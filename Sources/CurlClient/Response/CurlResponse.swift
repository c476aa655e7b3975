/// A complete response. Its descriptions show status and sizes only: token responses are secrets.
public struct CurlResponse: Sendable {
    /// 200…599 as sent by the server.
    public var status: Int

    /// Those of the final response (not of 1xx or redirects), in order, without trailers. Bytes that are no UTF-8 are
    /// replaced.
    public var headers: [(name: String, value: String)]

    public var body: [UInt8]

    public var httpVersion: CurlHTTPVersion

    /// The address that the connection goes to: the proxy's, where there is one.
    public var primaryIP: String?

    public var timing: CurlTiming

    public init(
        status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        httpVersion: CurlHTTPVersion = .http11, primaryIP: String? = nil, timing: CurlTiming = CurlTiming()
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.httpVersion = httpVersion
        self.primaryIP = primaryIP
        self.timing = timing
    }

    /// The value of the first header of this name; upper and lower case are the same (RFC 9110 §5.1).
    public func first(_ name: String) -> String? { HeaderName.first(name, in: headers) }
}

/// The protocol that the response came by.
public enum CurlHTTPVersion: String, Sendable, Hashable {
    case http10 = "HTTP/1.0"
    case http11 = "HTTP/1.1"
    case http2 = "HTTP/2"
    case http3 = "HTTP/3"
    case unknown = "HTTP"
}

/// Where the time went.
public struct CurlTiming: Sendable, Equatable {
    /// Until the connection stood, TLS included; zero on a reused connection.
    public var connect: Duration
    /// From the call to the last byte, with the time spent in queues here.
    public var total: Duration

    public init(connect: Duration = .zero, total: Duration = .zero) {
        self.connect = connect
        self.total = total
    }
}

extension CurlResponse: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "\(status) \(httpVersion.rawValue) (\(headers.count) headers, \(body.count) body bytes)"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: []) }
}
