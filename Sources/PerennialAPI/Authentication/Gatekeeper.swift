import RefreshCore

/// What a request brings along to show who is asking, taken out of its headers.
struct CallerEvidence: Sendable {
    var host: Substring?
    var origin: Substring?
    /// `Sec-Fetch-Site` and `Sec-Fetch-Mode`, which browsers send and pages cannot set (Fetch Metadata Request Headers, §2);
    /// looked at for the gateway only.
    var fetchSite: Substring?
    var fetchMode: Substring?
    var authorization: Substring?
    /// `X-Perennial-Key`.
    var key: Substring?
    /// Whether the connection came over a Unix socket, whose file mode says who may ask.
    var isLocalSocket = false
}

/// Decides whether a request may do what it wants: the one rule for the warm path and for all others.
struct Gatekeeper: Sendable {
    /// Nil: no keys are configured, and callers are trusted for being on this machine.
    let keys: CallerKeys?

    /// - Throws: ``Problem``: 401 without a good key, 403 without the scope, and, where no keys are configured, 403
    ///   for a request that a web page in somebody's browser may have sent.
    func admit(_ evidence: CallerEvidence, needing scope: Scope) throws(Problem) {
        guard let keys else { return try checkLocal(evidence) }
        guard let text = evidence.key ?? evidence.authorization.flatMap(Self.bearer) else {
            throw unauthorized(
                "send a caller key as \"Authorization: Bearer prn_…\" or as \"X-Perennial-Key\"",
                challenge: "Bearer realm=\"perennial\"")
        }
        guard let key = keys.match(text) else {
            throw unauthorized(
                "the caller key is not known: it was mistyped or revoked",
                challenge: "Bearer realm=\"perennial\", error=\"invalid_token\"")
        }
        guard key.allows(scope) else {
            var problem = Problem(
                .insufficientScope, "this needs a caller key with the scope \"\(scope.rawValue)\"")
            problem.headers = [
                .init(
                    name: "WWW-Authenticate",
                    value: "Bearer realm=\"perennial\", error=\"insufficient_scope\", scope=\"\(scope.rawValue)\"")
            ]
            throw problem
        }
    }

    /// Without keys the Host header tells a local caller from a web page whose name was made to point here (DNS
    /// rebinding), and Origin tells a page of another site.
    private func checkLocal(_ evidence: CallerEvidence) throws(Problem) {
        if evidence.isLocalSocket { return }
        guard let host = evidence.host, Self.isLoopback(authority: host) else {
            throw Problem(
                .forbiddenHost,
                "no caller keys are configured, so only localhost, 127.0.0.1 and [::1] are answered as Host: "
                    + "use one of them, or configure auth.keys_file")
        }
        if let origin = evidence.origin, !Self.isOrigin(origin, of: host) {
            throw Problem(
                .forbiddenOrigin,
                "no caller keys are configured, so requests of web pages of another origin are refused")
        }
    }

    /// Whether callers are trusted for being on this machine, as the pages in a browser on it are not.
    func trustsPlace(_ evidence: CallerEvidence) -> Bool { keys == nil && !evidence.isLocalSocket }

    /// Beside ``admit(_:needing:)`` for calls that a page could make an upstream answer by a link, an image or a form: these come
    /// without `Origin`.
    ///
    /// - Throws: ``Problem`` for a request of a browser that is not one of a script of this very origin.
    func admitForwarding(_ evidence: CallerEvidence) throws(Problem) {
        guard trustsPlace(evidence) else { return }
        let isForeign = evidence.fetchSite.map { $0 != "same-origin" && $0 != "none" } ?? false
        guard !isForeign, evidence.fetchMode != "navigate" else {
            throw Problem(
                .forbiddenOrigin,
                "no caller keys are configured, so browsers are not served by the gateway: configure auth.keys_file")
        }
    }

    private func unauthorized(_ detail: String, challenge: String) -> Problem {
        var problem = Problem(.unauthorized, detail)
        problem.headers = [.init(name: "WWW-Authenticate", value: challenge)]
        return problem
    }

    /// The token of `Authorization: Bearer TOKEN` (RFC 6750 §2.1; the scheme's case does not matter).
    static func bearer(_ authorization: Substring) -> Substring? {
        guard let space = authorization.utf8.firstIndex(of: 0x20),
            authorization[..<space].utf8.isEqualIgnoringCase("bearer")
        else { return nil }
        let token = authorization[space...].drop { $0 == " " }
        return token.isEmpty ? nil : token
    }

    /// Whether `HOST` or `HOST:PORT` names this machine's loopback.
    static func isLoopback(authority: Substring) -> Bool {
        let utf8 = authority.utf8
        let host: Substring.UTF8View.SubSequence
        let rest: Substring.UTF8View.SubSequence
        if utf8.first == UInt8(ascii: "[") {
            guard let end = utf8.firstIndex(of: UInt8(ascii: "]")) else { return false }
            host = utf8[...end]
            rest = utf8[utf8.index(after: end)...]
        } else {
            let end = utf8.firstIndex(of: UInt8(ascii: ":")) ?? utf8.endIndex
            host = utf8[..<end]
            rest = utf8[end...]
        }
        guard rest.isEmpty || isPort(rest) else { return false }
        return host.elementsEqual("127.0.0.1".utf8) || host.elementsEqual("[::1]".utf8)
            || host.isEqualIgnoringCase("localhost")
    }

    private static func isPort(_ text: Substring.UTF8View.SubSequence) -> Bool {
        text.first == UInt8(ascii: ":") && (2...6).contains(text.count)
            && text.dropFirst().allSatisfy { (0x30...0x39).contains($0) }
    }

    /// Whether the origin `http://HOST:PORT` (RFC 6454) is the host that was asked.
    static func isOrigin(_ origin: Substring, of host: Substring) -> Bool {
        guard let colon = origin.utf8.firstIndex(of: UInt8(ascii: ":")),
            origin[colon...].utf8.starts(with: "://".utf8)
        else { return false }
        return origin[colon...].dropFirst(3).utf8.isEqualIgnoringCase(String(host))
    }
}

extension Sequence where Element == UInt8 {
    /// Compares without the case of ASCII letters.
    func isEqualIgnoringCase(_ text: String) -> Bool {
        elementsEqual(text.utf8) { lhs, rhs in
            lhs == rhs || (lhs ^ rhs == 0x20 && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lhs | 0x20))
        }
    }
}
