/// Where the provider sends the browser with the code (RFC 6749 §3.1.2).
public struct RedirectURI: Sendable, Hashable {
    public let text: String
    /// Whether it leads to this machine, so that this program can receive what comes.
    public let isLoopback: Bool
    /// As it is written; `127.0.0.1`, `localhost` or `::1` for a loopback one, else empty.
    public let host: String
    /// Nil where it has none: then any will do (RFC 8252 §7.3), or one of `redirect_ports`.
    public let port: Int?
    /// What a browser asks for: with the slash at its beginning, and without a query.
    public let path: String
    /// As it is written: empty, or ``path``.
    private let suffix: String

    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// Where nothing is configured.
    public static let standard = RedirectURI(host: "127.0.0.1", port: nil, path: "/callback")

    private init(host: String, port: Int?, path: String) {
        self.host = host
        self.port = port
        self.path = path.isEmpty ? "/" : path
        suffix = path
        isLoopback = true
        text = Self.text(host, port, path)
    }

    private static func text(_ host: String, _ port: Int?, _ path: String) -> String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "http://\(name)\(port.map { ":\($0)" } ?? "")\(path)"
    }

    /// - Throws: ``Malformed`` for what is no absolute URI, or has a fragment (RFC 6749 §3.1.2), or is an `http://`
    ///   address of another machine.
    public init(_ text: String) throws(Malformed) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !text.contains("#"), !text.contains("\\") else {
            throw Malformed(description: "holds a blank, a fragment or a character that has to be percent-encoded")
        }
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
            throw Malformed(description: "is no absolute URI: write http://127.0.0.1/callback")
        }
        let scheme = text[..<colon].lowercased()
        guard scheme == "http" || scheme == "https" else {
            // Of a native application (RFC 8252 §7.1) or out of band: the code is pasted.
            self.init(elsewhere: text)
            return
        }
        let url: EndpointURL
        do { url = try EndpointURL(text) } catch { throw Malformed(description: error.description) }
        guard scheme == "http" else {
            self.init(elsewhere: text)
            return
        }
        let isOwn = url.host == "localhost" || url.host == "::1" || url.host == "127.0.0.1"
        guard isOwn else {
            throw Malformed(
                description: "is an unencrypted address of another machine: use https://, or http://127.0.0.1/callback")
        }
        guard !text.contains("?") else {
            throw Malformed(description: "has a query, which a loopback address cannot have")
        }
        let rest = text[text.index(colon, offsetBy: 3)...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        let digits = authority.last == "]" ? "" : authority.split(separator: ":").last.map(String.init) ?? ""
        self.init(host: url.host, port: authority.contains(":") ? Int(digits) : nil, path: String(rest[slash...]))
    }

    private init(elsewhere text: String) {
        self.text = text
        isLoopback = false
        host = ""
        port = nil
        path = ""
        suffix = ""
    }

    /// The same with a port.
    public func with(port: Int) -> RedirectURI { RedirectURI(host: host, port: port, path: suffix) }
}
