public import RefreshCore

/// The part of a call that differs from try to try: made anew for each, so that none carries the token of the one before.
public struct OutgoingHead: Sendable {
    public var url: String
    public var headers: [HeaderField]
}

/// A request as the caller sent it, and what of it goes to the upstream whatever the token.
public struct RequestHeaders: Sendable {
    /// How this gateway names itself (RFC 9110 §7.6.3).
    static let via = "1.1 perennial"
    /// More entries of our own than this are a loop.
    static let mostVias = 5

    /// Without those that the route or the protocol keeps back, without the caller's key, without credentials that the
    /// token is to replace.
    private let base: [HeaderField]
    /// The caller's `Accept-Encoding`.
    private let encodings: [HeaderField]
    /// The caller's cookies, without one that the token is to replace.
    private let cookies: String?
    private let path: String
    private let query: Substring?
    private let origin: String
    private let injection: TokenInjection
    /// The caller has brought a credential that the route prefers to a token of ours.
    public let hasOwnCredential: Bool

    /// - Parameter path: joined to the upstream's prefix already.
    public init(_ request: GatewayRequest, path: String, query: Substring?, route: GatewayRoute) {
        let injection = route.injection
        let hasOwn = route.ownCredentialWins && Self.hasOwnCredential(request, query, injection)
        self.hasOwnCredential = hasOwn
        self.injection = injection
        self.origin = route.upstream.origin
        self.path = path

        let named = HopByHop.named(in: request.headers)
        let choice = route.choice?.header.lowercased()
        let replaced = hasOwn ? nil : injection.headerName?.lowercased()
        let fixed = Set(route.headers.set.map { $0.name.lowercased() })
        var base: [HeaderField] = []
        base.reserveCapacity(request.headers.count + 4)
        var encodings: [HeaderField] = []
        var cookies: [String] = []
        var vias: [String] = []
        for field in request.headers {
            let name = field.name.lowercased()
            switch name {
            case "host", "content-length", "expect": continue
            case "authorization":
                // Passed on only as a credential that the route lets win; a key of Perennial's never.
                guard hasOwn, !request.isCallerKey(field.value) else { continue }
            case "via":
                vias.append(field.value)
                continue
            case "cookie" where replaced == "cookie":
                if route.headers.passes(name), !named.contains(name) { cookies.append(field.value) }
                continue
            default: if name == replaced { continue }
            }
            if HopByHop.fields.contains(name) || named.contains(name) || name == choice || fixed.contains(name) {
                continue
            }
            if name.hasPrefix("x-perennial-") || name.hasPrefix("perennial-") { continue }
            guard route.headers.passes(name) else { continue }
            if name == "accept-encoding" { encodings.append(field) } else { base.append(field) }
        }
        vias.append(Self.via)
        base.append((name: "Via", value: vias.joined(separator: ", ")))
        for field in route.headers.set { base.append((name: field.name, value: field.value.reveal())) }
        self.base = base
        self.encodings = encodings
        if case .cookie(let name) = injection, !hasOwn {
            self.cookies = Self.cookies(cookies, without: name)
        } else {
            self.cookies = nil
        }
        if case .query(let name) = injection, !hasOwn {
            self.query = query.map { QueryParameters.removing(name, from: $0) }
        } else {
            self.query = query
        }
    }

    /// The head of one try.
    ///
    /// - Parameters:
    ///   - token: nil for a call with the caller's own credential.
    ///   - passesEncoding: whether the answer may be compressed as the caller likes it.
    public func outgoing(
        _ token: Secret?, passesEncoding: Bool = true
    ) throws(TokenInjection.Unsendable) -> OutgoingHead {
        var headers = base
        if passesEncoding { headers += encodings }
        var query = query
        if let token {
            switch try injection.credential(token) {
            case .header(let name, let value): headers.append((name: name, value: value.reveal()))
            case .cookie(_, let pair):
                headers.append((name: "Cookie", value: (cookies.map { $0 + "; " } ?? "") + pair.reveal()))
            case .query(let name, let value):
                let pair = "\(name)=\(value.reveal())"
                query = query.flatMap { $0.isEmpty ? nil : "\($0)&\(pair)" } ?? pair[...]
            }
        }
        return OutgoingHead(url: origin + path + (query.map { "?\($0)" } ?? ""), headers: headers)
    }

    /// Whether calls have gone round through this gateway.
    public static func isLoop(_ headers: [HeaderField]) -> Bool {
        var count = 0
        for field in headers where field.name.utf8.count == 3 && field.name.lowercased() == "via" {
            count += field.value.split(separator: ",").count { $0.trimmingBlanks == via }
        }
        return count >= mostVias
    }

    private static func hasOwnCredential(
        _ request: GatewayRequest, _ query: Substring?, _ injection: TokenInjection
    ) -> Bool {
        let place = injection.headerName?.lowercased()
        for field in request.headers {
            let name = field.name.lowercased()
            if name == "authorization" {
                if !request.isCallerKey(field.value), !field.value.isEmpty { return true }
            } else if name == place {
                if case .cookie(let cookie) = injection {
                    if field.value.split(separator: ";").contains(where: { cookieName($0) == cookie }) { return true }
                } else if !field.value.isEmpty {
                    return true
                }
            }
        }
        if case .query(let name) = injection, let query { return QueryParameters.contains(name, in: query) }
        return false
    }

    private static func cookies(_ values: [String], without name: String) -> String? {
        let kept = values.flatMap { $0.split(separator: ";") }.filter { cookieName($0) != name }.map(\.trimmingBlanks)
            .filter { !$0.isEmpty }
        return kept.isEmpty ? nil : kept.joined(separator: "; ")
    }

    private static func cookieName(_ pair: Substring) -> String {
        pair.prefix { $0 != "=" }.trimmingBlanks
    }
}

/// Parameters of a query, which otherwise stays as it came.
enum QueryParameters {
    static func contains(_ name: String, in query: Substring) -> Bool {
        query.split(separator: "&").contains { decodedName($0) == name }
    }

    static func removing(_ name: String, from query: Substring) -> Substring {
        guard contains(name, in: query) else { return query }
        return query.split(separator: "&").filter { decodedName($0) != name }.joined(separator: "&")[...]
    }

    private static func decodedName(_ pair: Substring) -> String {
        var result: [UInt8] = []
        var bytes = pair.prefix { $0 != "=" }.utf8[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%"), bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                result.append(value)
                bytes = bytes.dropFirst(2)
            } else {
                result.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
