import NIOConcurrencyHelpers
import RefreshCore

/// A token endpoint in memory: rotation with reuse detection, scripted answers, and a ledger of every use of every
/// refresh token. A spent token that comes again outside the provider's forgiveness kills its whole family.
public final class ModelEndpoint: TokenEndpoint {
    /// A scripted answer to one request.
    public enum Answer: Sendable, Hashable {
        /// What happens without a script.
        case rotate
        /// Tokens without a new refresh token (RFC 6749 §6).
        case keepRefreshToken
        /// The request never leaves.
        case unsent
        /// No answer comes; the provider may have rotated all the same.
        case unanswered(hasRotated: Bool)
        /// A 2xx that cannot be read; the provider has rotated.
        case truncated
        /// An error answer; nothing is spent.
        case status(Int, error: String, retryAfter: Int?)
    }

    /// One use of a refresh token, as the provider saw it.
    public struct Use: Sendable, Hashable {
        public var account: AccountID
        public var attempt: AttemptID
        public var generation: Generation
        /// The how manieth use of this very refresh token, from 1.
        public var count: Int
        public var isRecovery: Bool
        public var sentAt: WallTime
    }

    private struct Token {
        var account: AccountID
        var firstUse: WallTime?
        var uses = 0
        var successor: String?
    }

    private struct State {
        var tokens: [String: Token] = [:]
        var revoked: Set<AccountID> = []
        var serial = 0
        var uses: [Use] = []
        var scripts: [AccountID: [Answer]] = [:]
        var common: [Answer] = []
        var lifetimes: [AccountID: Duration] = [:]
        var isHolding = false
        var held: [CheckedContinuation<Void, Never>] = []
        var underWay = 0
        var peak = 0
    }

    private let state = NIOLockedValueBox(State())
    private let time: any TimeSource
    private let lifetime: Duration

    /// - Parameter lifetime: of access tokens, where ``setLifetime(_:of:)`` says nothing else.
    public init(time: any TimeSource, lifetime: Duration = .seconds(3600)) {
        self.time = time
        self.lifetime = lifetime
    }

    // MARK: Arranging

    /// A fresh refresh token for the account, as after a login.
    public func issue(_ account: AccountID) -> Secret {
        state.withLockedValue { Secret(Self.mint(account, in: &$0)) }
    }

    /// Answers for the next requests of `account`, or of anybody.
    public func script(_ answers: Answer..., for account: AccountID? = nil) {
        state.withLockedValue { state in
            if let account {
                state.scripts[account, default: []] += answers
            } else {
                state.common += answers
            }
        }
    }

    public func setLifetime(_ lifetime: Duration, of account: AccountID) {
        state.withLockedValue { $0.lifetimes[account] = lifetime }
    }

    /// Requests are received but not answered until ``letGo()``.
    public func hold() { state.withLockedValue { $0.isHolding = true } }

    public func letGo() {
        let held = state.withLockedValue { state in
            state.isHolding = false
            defer { state.held.removeAll() }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    // MARK: The ledger

    public var uses: [Use] { state.withLockedValue { $0.uses } }
    public func uses(of account: AccountID) -> [Use] { uses.filter { $0.account == account } }
    public var duplicateSpends: Int { uses.count { $0.count > 1 } }
    public var revokedFamilies: Set<AccountID> { state.withLockedValue { $0.revoked } }
    /// The most requests that were under way at once.
    public var peakConcurrency: Int { state.withLockedValue { $0.peak } }
    public var underWay: Int { state.withLockedValue { $0.underWay } }

    // MARK: TokenEndpoint

    public func spend(
        _ claim: RefreshClaim, policy: RefreshPolicy, sendBy: MonotonicTime, deadline: MonotonicTime
    ) async -> ExchangeResult {
        guard time.monotonic() < sendBy else { return .unsent("send-by missed") }
        let sentAt = time.wall()
        let result = state.withLockedValue { receive(claim, policy: policy, sentAt: sentAt, in: &$0) }
        if case .unsent = result { return result }
        await withCheckedContinuation { continuation in
            let isFree = state.withLockedValue { state in
                state.underWay += 1
                state.peak = max(state.peak, state.underWay)
                if state.isHolding { state.held.append(continuation) }
                return !state.isHolding
            }
            if isFree { continuation.resume() }
        }
        state.withLockedValue { $0.underWay -= 1 }
        // As every HTTP client: whoever is cancelled does not get the answer, whatever the provider has done.
        return Task.isCancelled ? .unanswered("cancelled") : result
    }

    public func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome {
        let fields = Dictionary(
            String(decoding: response.body, as: UTF8.self).split(separator: "\n").compactMap { line in
                let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
                return parts.count == 2 ? (parts[0], parts[1]) : nil
            }, uniquingKeysWith: { $1 })
        switch (response.status, fields["error"]) {
        case (200..<300, _):
            guard let accessToken = fields["access_token"], let life = fields["expires_in"].flatMap(Int64.init) else {
                return .ambiguous("the answer holds no token")
            }
            return .rotated(
                TokenGrant(
                    accessToken: Secret(accessToken), refreshToken: fields["refresh_token"].map { Secret($0) },
                    tokenType: "Bearer", expiresAt: response.requestedAt + .milliseconds(life)))
        case (429, _), (503, _):
            let retryAfter = response.header("Retry-After").flatMap(Int.init).map { Duration.seconds($0) }
            return .throttled("status \(response.status)", retryAfter: retryAfter)
        case (_, "invalid_grant"): return .refused("invalid_grant")
        case (_, "invalid_client"): return .misconfigured("invalid_client")
        default: return .ambiguous("status \(response.status)")
        }
    }
}

extension ModelEndpoint {
    private func receive(
        _ claim: RefreshClaim, policy: RefreshPolicy, sentAt: WallTime, in state: inout State
    ) -> ExchangeResult {
        let account = claim.account.id
        let answer = Self.nextAnswer(account, in: &state)
        if answer == .unsent { return .unsent("connection refused") }
        let text = claim.refreshToken.reveal()
        state.tokens[text]?.uses += 1
        state.uses.append(
            Use(
                account: account, attempt: claim.attempt, generation: claim.generation,
                count: state.tokens[text]?.uses ?? 1, isRecovery: claim.isRecovery, sentAt: sentAt))
        func respond(_ status: Int, _ body: String, retryAfter: Int? = nil) -> ExchangeResult {
            let headers = retryAfter.map { [RawTokenResponse.Header(name: "retry-after", value: String($0))] } ?? []
            return .answered(
                RawTokenResponse(status: status, headers: headers, body: Array(body.utf8), requestedAt: sentAt))
        }
        if case .status(let status, let error, let retryAfter) = answer {
            return respond(status, "error=\(error)", retryAfter: retryAfter)
        }
        if answer == .unanswered(hasRotated: false) { return .unanswered("no answer") }
        guard
            let successor = Self.rotate(
                text, policy: policy, keeps: answer == .keepRefreshToken, at: sentAt, in: &state)
        else { return respond(400, "error=invalid_grant") }
        state.serial += 1
        let life = (state.lifetimes[account] ?? lifetime).wholeMilliseconds
        let renewal = successor == text ? "" : "\nrefresh_token=\(successor)"
        switch answer {
        case .unanswered: return .unanswered("no answer")
        case .truncated: return respond(200, "access_tok")
        default: return respond(200, "access_token=at-\(account)-\(state.serial)\nexpires_in=\(life)\(renewal)")
        }
    }

    private static func nextAnswer(_ account: AccountID, in state: inout State) -> Answer {
        if let own = state.scripts[account]?.first {
            state.scripts[account]?.removeFirst()
            return own
        }
        return state.common.isEmpty ? .rotate : state.common.removeFirst()
    }

    /// The refresh token that is good from now on, or nil for a refusal.
    private static func rotate(
        _ text: String, policy: RefreshPolicy, keeps: Bool, at now: WallTime, in state: inout State
    ) -> String? {
        guard let token = state.tokens[text], !state.revoked.contains(token.account) else { return nil }
        if let firstUse = token.firstUse, let successor = token.successor {
            if case .grace(let leeway) = policy.rotation, now - firstUse <= leeway { return successor }
            state.revoked.insert(token.account)
            return nil
        }
        if keeps || policy.rotation == .reusable { return text }
        let successor = mint(token.account, in: &state)
        state.tokens[text]?.firstUse = now
        state.tokens[text]?.successor = successor
        return successor
    }

    private static func mint(_ account: AccountID, in state: inout State) -> String {
        state.serial += 1
        let text = "rt-\(account)-\(state.serial)"
        state.tokens[text] = Token(account: account)
        return text
    }
}
