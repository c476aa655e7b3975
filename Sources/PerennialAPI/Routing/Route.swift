import HTTPTypes
import RefreshCore

/// The places of the API, and what each of their methods needs.
struct Route: Sendable, Hashable {
    enum Place: Sendable, Hashable {
        case accounts
        case account, token, refresh, pause, resume
        case orphans, orphan, restore
        case pools, pool, poolToken, poolReport, poolCooldown, poolRelease
        case forwardAuth, forwardAuthPool
        case mcp
        case instances, providers, livez, readyz, metrics
    }

    let place: Place
    /// The account's id, or the pool's name, as it stands in the path, percent-encoded.
    let rawID: Substring
    /// The attempt of an orphan, likewise.
    let rawAttempt: Substring

    /// Nil for a path that leads nowhere.
    ///
    /// - Parameter path: without the query.
    init?(path: Substring) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false)[...]
        guard parts.popFirst() == "" else { return nil }
        if parts.count >= 3, parts.starts(with: ["v1", "forward-auth"]) {
            // Behind it stands whatever a proxy appends.
            // An account called "pools" cannot be asked for: behind a proxy that appends the path of its client's request, the
            // client would choose the pool.
            let isPool = parts[parts.startIndex + 2] == "pools"
            place = isPool ? .forwardAuthPool : .forwardAuth
            rawID = isPool && parts.count < 4 ? "" : parts[parts.startIndex + (isPool ? 3 : 2)]
            rawAttempt = ""
            if rawID.isEmpty { return nil }
            return
        }
        rawID = parts.count >= 3 ? parts[parts.startIndex + 2] : ""
        rawAttempt = parts.count >= 5 ? parts[parts.startIndex + 4] : ""
        switch (parts.count, parts.first, parts.dropFirst().first) {
        case (1, "livez", _): place = .livez
        case (1, "readyz", _): place = .readyz
        case (1, "mcp", _): place = .mcp
        case (1, "metrics", _): place = .metrics
        case (2, "v1", "accounts"): place = .accounts
        case (2, "v1", "instances"): place = .instances
        case (2, "v1", "providers"): place = .providers
        case (2, "v1", "pools"): place = .pools
        case (3, "v1", "accounts"): place = .account
        case (3, "v1", "pools"): place = .pool
        case (4, "v1", "pools"):
            switch parts.last {
            case "token": place = .poolToken
            case "report": place = .poolReport
            case "cooldown": place = .poolCooldown
            case "release": place = .poolRelease
            default: return nil
            }
        case (4, "v1", "accounts"):
            switch parts.last {
            case "token": place = .token
            case "refresh": place = .refresh
            case "pause": place = .pause
            case "resume": place = .resume
            case "orphans": place = .orphans
            default: return nil
            }
        case (5, "v1", "accounts") where parts[parts.startIndex + 3] == "orphans":
            place = .orphan
        case (6, "v1", "accounts") where parts[parts.startIndex + 3] == "orphans" && parts.last == "restore":
            place = .restore
        default: return nil
        }
        if parts.count >= 3, rawID.isEmpty { return nil }
        if parts.count >= 5, rawAttempt.isEmpty { return nil }
    }

    /// The methods that work here, each with the scope it needs; nil is "no key needed".
    var methods: [(method: HTTPRequest.Method, scope: Scope?)] {
        switch place {
        case .livez, .readyz: [(.get, nil), (.head, nil)]
        case .accounts, .instances, .providers, .token, .metrics: [(.get, .read), (.head, .read)]
        case .account: [(.get, .read), (.head, .read), (.put, .admin), (.patch, .admin), (.delete, .admin)]
        case .refresh: [(.post, .refresh)]
        case .pools, .pool: [(.get, .read), (.head, .read)]
        // Taking one has effects.
        case .poolToken: [(.get, .read)]
        case .poolReport: [(.post, .read)]
        case .poolCooldown, .poolRelease: [(.post, .refresh)]
        case .pause, .resume, .restore: [(.post, .admin)]
        case .orphans: [(.get, .admin), (.head, .admin)]
        case .orphan: [(.delete, .admin)]
        // A tool may need more, and says so itself. No sessions that could be ended, and no stream that could be listened to.
        case .mcp: [(.post, .read)]
        case .forwardAuth, .forwardAuthPool: []
        }
    }

    /// The scope that a method needs here, or that it needs none; nil where it does not work here.
    func scope(for method: HTTPRequest.Method) -> Scope?? {
        switch place {
        // Proxies ask with the method that they were asked with.
        case .forwardAuth, .forwardAuthPool: .some(.read)
        default: methods.first { $0.method == method }.map(\.scope)
        }
    }

    /// - Throws: ``Problem`` (400) unless the path holds what can be the name of an attempt.
    func attemptID() throws(Problem) -> AttemptID {
        let allowed = Array("-_.".utf8)
        guard let text = Hexadecimal.decodePercent(rawAttempt), (1...100).contains(text.utf8.count),
            text.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"):
                    true
                default: allowed.contains(byte)
                }
            })
        else {
            throw Problem(.malformedRequest, "the attempt in the path has to be one that the list of orphans names")
        }
        return AttemptID(rawValue: text)
    }

    /// - Throws: ``Problem`` (404) unless the path holds what can be the name of a pool.
    func poolName() throws(Problem) -> PoolName {
        do {
            return try PoolName(Hexadecimal.decodePercent(rawID) ?? "")
        } catch {
            throw Problem(.poolNotFound, "the name in the path is that of no pool: \(error.reason)")
        }
    }

    /// - Throws: ``Problem`` (400) unless the path holds an acceptable account id.
    func accountID() throws(Problem) -> AccountID {
        guard let text = Hexadecimal.decodePercent(rawID) else {
            throw Problem(.invalidAccountID, "the account id in the path is not percent-encoded UTF-8")
        }
        do {
            return try AccountID(text)
        } catch {
            throw Problem(.invalidAccountID, error.description)
        }
    }
}
