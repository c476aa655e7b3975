/// A listen address that is not one, and what it should look like.
public struct InvalidListenAddress: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
}

/// Where the server listens: `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// Port 0 takes any free one.
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Longest path of a Unix socket on Linux, in bytes (unix(7)).
    public static let longestPath = 107

    /// - Throws: ``InvalidListenAddress``.
    public init(_ text: String) throws(InvalidListenAddress) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count <= Self.longestPath else {
                throw InvalidListenAddress(
                    description: "\"\(text)\": the path of a Unix socket has 1 to \(Self.longestPath) bytes")
            }
            self = .unix(path: path)
            return
        }
        let malformed = InvalidListenAddress(
            description: "\"\(text)\" is no listen address: write HOST:PORT, [IPv6]:PORT or unix:PATH")
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw malformed
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { throw malformed }
        } else if host.contains(where: { $0 == ":" || $0 == "[" || $0 == "]" || $0 == "/" || $0 == " " }) {
            throw malformed
        }
        guard !host.isEmpty else { throw malformed }
        self = .tcp(host: String(host), port: Int(port))
    }

    /// Whether only this machine can reach it: such a listener may go without caller keys.
    public var isLoopback: Bool {
        switch self {
        case .unix: return true
        case .tcp(let host, _):
            if host == "::1" || host.lowercased() == "localhost" { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        }
    }

    public var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}
