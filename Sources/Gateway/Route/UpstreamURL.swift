import Providers

/// Where a route leads: scheme, host, port, and the path below which all its calls stay.
public struct UpstreamURL: Sendable, Hashable, CustomStringConvertible {
    /// `https://HOST:PORT`.
    public let origin: String
    /// Empty, or `/…` without a slash at its end.
    public let prefix: String
    /// Whether what is sent there is encrypted, or stays on this machine.
    public let isPrivate: Bool
    /// `http://` to this machine.
    let isPlainAndLocal: Bool

    public struct Malformed: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// - Throws: ``Malformed`` for what is no http or https URL, or has credentials, a query, a fragment or a segment `..`.
    public init(_ text: String) throws(Malformed) {
        let url: EndpointURL
        do {
            url = try EndpointURL(text)
        } catch {
            throw Malformed(
                description: text.contains("@") && error.description.contains("credentials")
                    ? "holds credentials: name an account or a pool instead" : error.description)
        }
        guard !text.contains("?") else {
            throw Malformed(description: "holds a query: callers send theirs; write scheme, host and path only")
        }
        guard let separator = text.firstRange(of: "://") else {
            throw Malformed(description: "is not an absolute URL: write https://HOST/PATH")
        }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        var path = rest[authority.endIndex...]
        while path.hasSuffix("/") { path = path.dropLast() }
        if !path.isEmpty {
            do throws(PathRefusal) {
                try PathResolution.check(path.utf8, allowsEncodedSlashes: true)
            } catch {
                throw Malformed(description: "has a path that \(error.description)")
            }
        }
        origin = "\(url.scheme)://\(authority)"
        prefix = String(path)
        isPrivate = url.scheme == "https" || url.isLoopback
        isPlainAndLocal = url.scheme == "http" && url.isLoopback
    }

    init(unchecked origin: String) {
        self.origin = origin
        prefix = ""
        isPrivate = true
        isPlainAndLocal = false
    }

    public var description: String { origin + prefix }
}
