/// One HTTP exchange to make.
///
/// Its descriptions name method, scheme, host and port only: URL, headers and body may hold secrets.
public struct CurlRequest: Sendable {
    /// An HTTP token such as `GET` or `POST` (RFC 9110 §9.1). `CONNECT` is refused.
    public var method: String

    /// An absolute http or https URL, without credentials in it. What is not ASCII has to be percent-encoded in path
    /// and query.
    public var url: String

    /// Sent in this order. CR, LF and NUL are refused. `Content-Length`, `Transfer-Encoding` and `Expect` are made by
    /// the client and refused here. There is no `Content-Type` unless it is given.
    public var headers: [(name: String, value: String)]

    /// nil = no body. `POST`, `PUT` and `PATCH` then send an empty one.
    public var body: [UInt8]?

    /// From the start to a usable connection: look-up, TCP, proxy, TLS, and waiting for a free connection. Default 5 s.
    public var connectTimeout: Duration

    /// For everything, counted from the call; hard. Default 20 s.
    public var totalTimeout: Duration

    /// Cap on header and body bytes of the response together. Default 1 MiB.
    public var maxResponseBytes: Int

    /// nil = direct. Proxy settings in the environment are ignored.
    public var proxy: CurlProxy?

    public var tls: CurlTLS

    /// Follows up to ten redirects, to http and https only. Default false. Never with ``singleSend``.
    public var followRedirects: Bool

    /// The request is not sent after this instant, which is checked on the finished connection just before sending.
    /// Failing it gives ``CurlError/Code/sendByMissed`` with ``CurlError/unsent``.
    public var sendBy: ContinuousClock.Instant?

    /// Sends the request at most once. Otherwise libcurl sends it again, on its own and whatever the method, if a
    /// reused connection ends before the first byte of the response, or if an HTTP/2 server refuses the stream. With
    /// it, that is an error whose ``CurlError/unsent`` is false. For requests that spend something, such as a
    /// single-use refresh token. HTTP proxies are asked for a tunnel even to http:// URLs, so that a proxy's refusal
    /// comes before anything is sent.
    public var singleSend: Bool

    public init(
        method: String = "GET",
        url: String,
        headers: [(name: String, value: String)] = [],
        body: [UInt8]? = nil,
        connectTimeout: Duration = .seconds(5),
        totalTimeout: Duration = .seconds(20),
        maxResponseBytes: Int = 1 << 20,
        proxy: CurlProxy? = nil,
        tls: CurlTLS = CurlTLS(),
        followRedirects: Bool = false,
        sendBy: ContinuousClock.Instant? = nil,
        singleSend: Bool = false
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.connectTimeout = connectTimeout
        self.totalTimeout = totalTimeout
        self.maxResponseBytes = maxResponseBytes
        self.proxy = proxy
        self.tls = tls
        self.followRedirects = followRedirects
        self.sendBy = sendBy
        self.singleSend = singleSend
    }
}

/// How the server is verified. Verification of chain and host name is always on; TLS 1.2 is the least.
public struct CurlTLS: Sendable, Equatable {
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?

    public init(caFile: String? = nil) {
        self.caFile = caFile
    }
}

extension CurlRequest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "\(method) \(URLText.origin(of: url)) (\(headers.count) headers, \(body?.count ?? 0) body bytes)"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: []) }
}
