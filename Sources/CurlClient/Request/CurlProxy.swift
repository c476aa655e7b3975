/// A proxy for one request. Its descriptions never show the credentials.
///
/// Tunnels of HTTP proxies that want credentials are not reused: libcurl 7.88 tells them apart by host and port only,
/// and one user's request would go through another's tunnel.
public struct CurlProxy: Sendable, Equatable {
    /// `http://`, `https://`, `socks5://` (names resolved here) or `socks5h://` (names resolved by the proxy), host,
    /// optional port.
    public let url: String
    public let username: String?
    public let password: String?
    /// PEM file with the authorities to trust for an `https://` proxy instead of the system's.
    public let caFile: String?

    var isSOCKS: Bool { url.lowercased().hasPrefix("socks") }
    var isTLS: Bool { url.lowercased().hasPrefix("https://") }

    /// - Throws: ``CurlError`` with ``CurlError/Code/proxy`` for an unknown scheme, no host, or
    ///   credentials in the URL.
    public init(
        url: String, username: String? = nil, password: String? = nil, caFile: String? = nil
    ) throws(CurlError) {
        func refusal(_ message: String) -> CurlError { CurlError(code: .proxy, unsent: true, message: message) }

        guard let parts = URLText.split(url), ["http", "https", "socks5", "socks5h"].contains(parts.scheme) else {
            throw refusal("The proxy has to be a URL such as http://HOST:PORT, https://, socks5:// or socks5h://.")
        }
        guard !parts.authority.utf8.contains(UInt8(ascii: "@")) else {
            throw refusal("Give the proxy's user name and password apart from its URL.")
        }
        guard parts.rest.isEmpty || parts.rest == "/" else {
            throw refusal("The proxy's URL has to end after host and port.")
        }
        for text in [username, password, caFile] where text?.utf8.contains(0) == true {
            throw refusal("The proxy's user name, password or CA file contains a NUL.")
        }
        self.url = url
        self.username = username
        self.password = password
        self.caFile = caFile
    }
}

extension CurlProxy: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "\(URLText.origin(of: url)) (credentials \(username == nil && password == nil ? "not set" : "set"))"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: []) }
}
