/// The target of a request to the gateway, `/gw/ROUTE/PATH?QUERY`, taken apart.
public struct RequestTarget: Sendable, Hashable {
    public static let prefix = "/gw/"

    /// Still to be looked up.
    public let route: Substring
    /// Empty, or beginning with a slash.
    public let path: Substring
    /// Without its question mark; nil where there is none.
    public let query: Substring?

    /// Whether a request target is one of the gateway's (RFC 9112 §3.2.1 and §3.2.2).
    public static func matches(_ target: String) -> Bool {
        origin(of: target).utf8.starts(with: prefix.utf8)
    }

    /// Nil for a target that is none of the gateway's.
    public init?(_ target: String) {
        let target = Self.origin(of: target)
        guard target.utf8.starts(with: Self.prefix.utf8) else { return nil }
        let rest = target.dropFirst(Self.prefix.utf8.count)
        let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?"))
        let path = rest[..<(mark ?? rest.endIndex)]
        query = mark.map { rest[rest.utf8.index(after: $0)...] }
        let slash = path.utf8.firstIndex(of: UInt8(ascii: "/")) ?? path.endIndex
        route = path[..<slash]
        self.path = path[slash...]
    }

    /// The target without the scheme and authority of the absolute form.
    private static func origin(of target: String) -> Substring {
        let whole = target[...]
        if whole.utf8.first == UInt8(ascii: "/") { return whole }
        guard let separator = target.utf8.firstIndex(of: UInt8(ascii: ":")),
            ["http", "https"].contains(target[..<separator].lowercased())
        else { return whole }
        let rest = target[separator...].dropFirst()
        guard rest.utf8.starts(with: "//".utf8) else { return whole }
        let authority = rest.dropFirst(2)
        guard let slash = authority.utf8.firstIndex(of: UInt8(ascii: "/")) else { return whole }
        return authority[slash...]
    }
}
