/// Where an answer sends its caller: back into the route, where the place is one of the route's. Otherwise the next call would
/// go past the gateway, without a token, or to another place of this server.
struct ProxiedLocation {
    /// Headers whose value is a reference to a place (RFC 9110 §8.7 and §10.2.2).
    static let fields: Set<String> = ["location", "content-location"]

    let route: String
    let upstream: UpstreamURL

    /// A reference relative to the request's own path stays as it is: the path behind the route is the upstream's.
    func rewritten(_ reference: String) -> String {
        let path: Substring
        if reference.hasPrefix("/"), !reference.hasPrefix("//") {
            path = reference[...]
        } else if let rest = behindOrigin(reference) {
            path = rest
        } else {
            return reference
        }
        guard let rest = behindPrefix(path) else { return upstream.origin + path }
        return RequestTarget.prefix + route + rest
    }

    /// What follows the upstream's origin in an absolute URL; nil for one of another server.
    private func behindOrigin(_ reference: String) -> Substring? {
        guard let separator = reference.firstRange(of: "://") else { return nil }
        let authority = reference[separator.upperBound...].prefix { !"/?#".contains($0) }
        let origin = Self.withoutDefaultPort(reference[..<authority.endIndex].lowercased())
        guard origin == Self.withoutDefaultPort(upstream.origin.lowercased()) else { return nil }
        return reference[authority.endIndex...]
    }

    /// RFC 9110 §4.2.3.
    private static func withoutDefaultPort(_ origin: String) -> Substring {
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")]
        where origin.hasPrefix(scheme) && origin.hasSuffix(port) {
            return origin.dropLast(port.count)
        }
        return origin[...]
    }

    /// What follows the upstream's prefix; nil for a path beside it, and for one that the gateway would not go.
    private func behindPrefix(_ path: Substring) -> Substring? {
        guard path.hasPrefix(upstream.prefix) else { return nil }
        let rest = path.dropFirst(upstream.prefix.count)
        guard rest.isEmpty || "/?#".contains(rest.first ?? "/") else { return nil }
        let segments = rest.prefix { !"?#".contains($0) }
        guard (try? PathResolution.check(segments.utf8, allowsEncodedSlashes: true)) != nil else { return nil }
        return rest
    }
}
