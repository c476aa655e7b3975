/// How requests that concern an account leave: by a proxy, or directly whatever its provider's configuration says.
public enum ProxySetting: Sendable, Hashable, CustomStringConvertible {
    case direct
    case server(ProxyServer)

    /// Reads `direct`, or the URL of a proxy with or without credentials in it.
    ///
    /// - Throws: ``InvalidProxy`` saying what to write instead; it never repeats what was given.
    public init(_ text: String) throws(InvalidProxy) {
        self = text == "direct" ? .direct : .server(try ProxyServer(text))
    }

    public var server: ProxyServer? {
        if case .server(let server) = self { return server }
        return nil
    }

    /// `direct`, or scheme, host and port; never the credentials.
    public var url: String {
        switch self {
        case .direct: "direct"
        case .server(let server): server.url
        }
    }

    public var hasCredentials: Bool { server?.username != nil }

    /// For people: `socks5h://proxy.example:1080 (credentials set)`.
    public var description: String { hasCredentials ? "\(url) (credentials set)" : url }
}

/// Why a proxy cannot be used. Holds no part of what was given.
public struct InvalidProxy: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    public init(_ reason: String) {
        description = "proxy \(reason)"
    }
}

/// A proxy with what is needed to use it. Its descriptions never show the password.
public struct ProxyServer: Sendable, Hashable, CustomStringConvertible {
    public enum Scheme: String, Sendable, Hashable, CaseIterable {
        /// `CONNECT` over plain TCP (RFC 9110 §9.3.6).
        case http
        /// `CONNECT` over TLS.
        case https
        /// RFC 1928; names are resolved on this side.
        case socks5
        /// RFC 1928; names are resolved by the proxy.
        case socks5h
    }

    public let scheme: Scheme
    /// In lower case; an IPv6 address without its brackets.
    public let host: String
    public let port: UInt16
    public let username: Secret?
    public let password: Secret?

    /// Scheme, host and port.
    public var url: String { "\(scheme.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
    public var description: String { username == nil ? url : "\(url) (credentials set)" }

    /// Longest user name and password, in bytes (RFC 1929 §2 allows no more).
    public static let maximumCredential = 255

    /// - Parameters:
    ///   - text: scheme, host and port; credentials may stand in it, percent-encoded (RFC 3986 §3.2.1).
    ///   - username: the user's name, if it does not stand in the URL.
    /// - Throws: ``InvalidProxy``.
    public init(_ text: String, username: Secret? = nil, password: Secret? = nil) throws(InvalidProxy) {
        let (scheme, authority) = try Self.split(text)
        var (username, password) = (username, password)
        var address = authority
        if let mark = authority.lastIndex(of: "@") {
            guard username == nil, password == nil else {
                throw InvalidProxy("has credentials in its URL and beside it: give them once")
            }
            (username, password) = try Self.credentials(authority[..<mark])
            address = authority[mark...].dropFirst()
        }
        try Self.check(username: username, password: password, scheme: scheme)
        self.scheme = scheme
        (host, port) = try Self.hostAndPort(address)
        self.username = username
        self.password = username == nil ? nil : password ?? Secret("")
    }

    private static func split(_ text: String) throws(InvalidProxy) -> (Scheme, Substring) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw InvalidProxy("holds a blank, a control or a non-ASCII character: percent-encode it")
        }
        guard let separator = text.firstRange(of: "://") else {
            throw InvalidProxy("is no URL: write SCHEME://HOST:PORT with one of \(schemes), or direct")
        }
        guard let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw InvalidProxy("has a scheme that is not one of \(schemes)")
        }
        var rest = text[separator.upperBound...]
        if rest.last == "/" { rest.removeLast() }
        guard !rest.contains(where: { "/?#\\".contains($0) }) else {
            throw InvalidProxy("has to end after host and port (percent-encode / ? # in a user name or password)")
        }
        return (scheme, rest)
    }

    private static let schemes = Scheme.allCases.map(\.rawValue).joined(separator: ", ")

    private static func credentials(_ text: Substring) throws(InvalidProxy) -> (Secret, Secret) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let username = percentDecoded(parts[0]), let password = percentDecoded(parts.count > 1 ? parts[1] : "")
        else { throw InvalidProxy("has credentials that are not percent-encoded UTF-8") }
        return (Secret(username), Secret(password))
    }

    private static func check(username: Secret?, password: Secret?, scheme: Scheme) throws(InvalidProxy) {
        guard let username else {
            guard password == nil else { throw InvalidProxy("has a password and no user name") }
            return
        }
        guard !username.isEmpty else { throw InvalidProxy("has an empty user name") }
        for text in [username.reveal(), password?.reveal() ?? ""] {
            guard text.utf8.count <= maximumCredential else {
                throw InvalidProxy("has a user name or password of more than \(maximumCredential) bytes")
            }
            guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
                throw InvalidProxy("has a control character in its user name or password")
            }
        }
        // RFC 7617 §2: the first colon ends the name.
        guard scheme == .socks5 || scheme == .socks5h || !username.reveal().contains(":") else {
            throw InvalidProxy("has a user name with a colon, which HTTP cannot send")
        }
    }

    private static func hostAndPort(_ text: Substring) throws(InvalidProxy) -> (String, UInt16) {
        let host: Substring
        let rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw InvalidProxy("has an IPv6 address without its ]") }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[end...].dropFirst()
            guard host.contains(":"), host.utf8.allSatisfy({ isHexDigit($0) || $0 == 0x3a || $0 == 0x2e }) else {
                throw InvalidProxy("has brackets around what is no IPv6 address")
            }
        } else {
            let end = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<end]
            rest = text[end...]
            guard host.utf8.allSatisfy(isHostByte) else {
                throw InvalidProxy("has a host that is neither a name nor an address")
            }
        }
        guard !host.isEmpty else { throw InvalidProxy("has no host: write SCHEME://HOST:PORT") }
        let digits = rest.dropFirst()
        guard rest.first == ":", !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else { throw InvalidProxy("needs a port from 1 to 65535 after its host: write SCHEME://HOST:PORT") }
        return (host.lowercased(), port)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                rest.prefix(2).allSatisfy(isHexDigit)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
