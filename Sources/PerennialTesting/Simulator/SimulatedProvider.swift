import RefreshCore

/// How the provider takes one request.
enum ProviderMood: Sendable, Hashable {
    case rotate
    case omitRefreshToken
    case truncated
    case unparseable
    case badGateway(rotates: Bool)
    case throttled(seconds: Int64)
    case misconfigured
    case revoked
}

/// One request that carried a refresh token: an entry of the ledger, which knows nothing of the code under test.
struct Spend {
    var account: AccountID
    var token: String
    var generation: Generation
    var attempt: AttemptID
    var process: Int
    var isRecovery: Bool
    var sentAt: TrueTime
    /// The sender was given a definite answer that nothing was spent.
    var isCleared = false
    /// The sender was given a definite refusal.
    var isRefused = false
    /// Something kept the sender from storing the answer in time.
    var trouble: String?
}

/// A token endpoint with rotation, families and reuse detection.
struct SimulatedProvider {
    private struct Token {
        var account: AccountID
        var family: Int
        var firstUse: TrueTime?
        var successor: String?
    }

    /// What an answer of this number means once it is read.
    enum Meaning {
        case tokens(access: String, refresh: String?)
        case outcome(ExchangeOutcome)
    }

    let rotation: RotationBehaviour
    let lifetime: Duration
    private var tokens: [String: Token] = [:]
    private var revoked: Set<Int> = []
    private var families: [AccountID: Int] = [:]
    private var serial = 0
    private(set) var answers: [Meaning] = []
    /// The true end of every access token.
    private(set) var ends: [String: TrueTime] = [:]
    /// Requests in the current second, for a limit on their rate.
    private var second: Int64 = 0
    private var requestsInSecond = 0
    var rate = 0

    init(rotation: RotationBehaviour, lifetime: Duration) {
        self.rotation = rotation
        self.lifetime = lifetime
    }

    /// A log-in: a new family. The old one is not revoked by it.
    mutating func login(_ account: AccountID) -> String {
        serial += 1
        families[account] = serial
        return mint(account, family: serial)
    }

    mutating func issueAccess(until end: TrueTime) -> String {
        serial += 1
        let text = "a\(serial)"
        ends[text] = end
        return text
    }

    /// Whether a refresh with this token would work now.
    func isUsable(_ text: String) -> Bool {
        guard let token = tokens[text], !revoked.contains(token.family) else { return false }
        return token.successor == nil
    }

    mutating func revoke(_ account: AccountID) {
        if let family = families[account] { revoked.insert(family) }
    }

    mutating func isOverRate(at now: TrueTime) -> Bool {
        guard rate > 0 else { return false }
        if now / 1_000_000_000 != second { (second, requestsInSecond) = (now / 1_000_000_000, 0) }
        requestsInSecond += 1
        return requestsInSecond > rate
    }

    /// Answers a request; the reply's number stands for its body.
    ///
    /// - Returns: status and body, and whether the request revoked a family by using a token again.
    mutating func receive(_ text: String, mood: ProviderMood, at now: TrueTime) -> (
        status: Int, answer: Int, reused: Bool
    ) {
        func refusal() -> Meaning { .outcome(.refused("invalid_grant")) }
        switch mood {
        case .throttled(let seconds):
            return (429, add(.outcome(.throttled("slow down", retryAfter: .seconds(seconds)))), false)
        case .misconfigured: return (401, add(.outcome(.misconfigured("invalid_client"))), false)
        case .badGateway(rotates: false): return (502, add(.outcome(.ambiguous("status 502"))), false)
        case .revoked:
            if let family = tokens[text]?.family { revoked.insert(family) }
        default: break
        }
        guard let token = tokens[text], !revoked.contains(token.family) else { return (400, add(refusal()), false) }
        var successor = token.successor
        if let known = successor {
            guard case .grace(let leeway) = rotation, let first = token.firstUse, now - first <= TrueTime(leeway) else {
                revoked.insert(token.family)
                return (400, add(refusal()), true)
            }
            // Inside the grace the same successor is given again.
            successor = known
        } else if mood == .omitRefreshToken || rotation == .reusable {
            successor = text
        } else {
            let new = mint(token.account, family: token.family)
            tokens[text]?.firstUse = now
            tokens[text]?.successor = new
            successor = new
        }
        switch mood {
        case .badGateway: return (502, add(.outcome(.ambiguous("status 502"))), false)
        case .truncated: return (200, add(.outcome(.ambiguous("the answer is cut"))), false)
        case .unparseable: return (200, add(.outcome(.ambiguous("the answer is no JSON"))), false)
        default:
            let access = issueAccess(until: now + TrueTime(lifetime))
            return (200, add(.tokens(access: access, refresh: successor == text ? nil : successor)), false)
        }
    }

    /// What ``TokenEndpoint/interpret(_:provider:)`` is for a real provider.
    func interpret(_ response: RawTokenResponse) -> ExchangeOutcome {
        guard let number = Int(String(decoding: response.body, as: UTF8.self)), answers.indices.contains(number) else {
            return .ambiguous("no such answer")
        }
        switch answers[number] {
        case .outcome(let outcome): return outcome
        case .tokens(let access, let refresh):
            return .rotated(
                TokenGrant(
                    accessToken: Secret(access), refreshToken: refresh.map { Secret($0) }, tokenType: "Bearer",
                    expiresAt: response.requestedAt + lifetime))
        }
    }

    private mutating func add(_ meaning: Meaning) -> Int {
        answers.append(meaning)
        return answers.count - 1
    }

    private mutating func mint(_ account: AccountID, family: Int) -> String {
        serial += 1
        let text = "r\(serial)"
        tokens[text] = Token(account: account, family: family)
        return text
    }
}
