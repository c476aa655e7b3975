import HTTPTypes
import RefreshCore

/// The places of the API, and what each of their methods needs.
struct Route: Sendable, Hashable {
    enum Place: Sendable, Hashable {
        case accounts
        case account, token, refresh, pause, resume
        case orphans, orphan, restore
        case instances, providers, livez, readyz
    }

    let place: Place
    /// The id as it stands in the path, percent-encoded.
    let rawID: Substring
    /// The attempt of an orphan, likewise.
    let rawAttempt: Substring

    /// Nil for a path that leads nowhere.
    ///
    /// - Parameter path: without the query.
    init?(path: Substring) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false)[...]
        guard parts.popFirst() == "" else { return nil }
        rawID = parts.count >= 3 ? parts[parts.startIndex + 2] : ""
        rawAttempt = parts.count >= 5 ? parts[parts.startIndex + 4] : ""
        switch (parts.count, parts.first, parts.dropFirst().first) {
        case (1, "livez", _): place = .livez
        case (1, "readyz", _): place = .readyz
        case (2, "v1", "accounts"): place = .accounts
        case (2, "v1", "instances"): place = .instances
        case (2, "v1", "providers"): place = .providers
        case (3, "v1", "accounts"): place = .account
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
        case .accounts, .instances, .providers, .token: [(.get, .read), (.head, .read)]
        case .account: [(.get, .read), (.head, .read), (.put, .admin), (.patch, .admin), (.delete, .admin)]
        case .refresh: [(.post, .refresh)]
        case .pause, .resume, .restore: [(.post, .admin)]
        case .orphans: [(.get, .admin), (.head, .admin)]
        case .orphan: [(.delete, .admin)]
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
