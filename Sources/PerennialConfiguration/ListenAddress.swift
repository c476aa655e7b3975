/// Where the API listens.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// A name or address without brackets; port 0 lets the system choose.
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Why a text is no address.
    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// Longest path of a Unix socket that the kernel takes, in bytes (unix(7)).
    public static let maximumPathLength = 107

    /// - Parameter text: `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.
    public init(_ text: String) throws(Malformed) {
        func malformed(_ reason: String) -> Malformed {
            let shown = text.utf8.count <= 120 ? "\"\(text)\" " : ""
            return Malformed(description: "\(shown)\(reason): write HOST:PORT, [IPv6]:PORT or unix:PATH")
        }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Malformed(description: "an address cannot hold control characters")
        }
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst("unix:".count))
            guard !path.isEmpty else { throw malformed("has no path") }
            guard path.utf8.count <= Self.maximumPathLength else {
                throw malformed(
                    "has a path of \(path.utf8.count) bytes, at most \(Self.maximumPathLength) are possible")
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":") else { throw malformed("has no port") }
        let digits = text[colon...].dropFirst()
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
            throw malformed("has no port from 0 to 65535")
        }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { throw malformed("has no IPv6 address in its brackets") }
        } else if host.contains(":") {
            throw malformed("has an IPv6 address without brackets")
        }
        guard !host.isEmpty, host != "*" else {
            throw malformed("does not say on which address; 0.0.0.0 means all of them")
        }
        guard !host.contains(where: { " /[]@".contains($0) }) else { throw malformed("has no valid host") }
        self = .tcp(host: String(host), port: Int(port))
    }

    /// Whether only processes of this machine can get there.
    public var isLocal: Bool {
        switch self {
        case .unix: return true
        case .tcp(let host, _):
            let host = host.lowercased()
            if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        }
    }

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
