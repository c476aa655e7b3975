public import Providers
public import RefreshCore

/// The decisions about one request: with which token it is tried, whether it is tried again, and what the caller gets.
///
/// Pure. The driver performs the returned ``Step`` and feeds back what came of it. Every step but the last takes one of a
/// bounded number of tries, so it always ends.
public struct AttemptMachine: Sendable {
    /// What a try is made with.
    public enum Credential: Sendable, Hashable {
        /// Nothing of ours.
        case own
        case account(AccountID, Generation)
        /// The token that the configuration gives as last resort: nothing can be done for it.
        case fallback
    }

    /// Which token the next try needs.
    public enum Demand: Sendable, Hashable {
        case own
        /// - Parameter refused: only a newer one.
        case account(AccountID, refused: Generation?)
        case pool(PoolName, excluded: Set<AccountID>, refused: [AccountID: Generation], preferred: AccountID?)
    }

    public enum Step: Sendable, Hashable {
        /// Get a token; then ``took(_:)``. Where there is none, that is the answer.
        case take(Demand)
        /// Send the request; then ``answered(_:canRepeat:inTime:)`` or ``broke(_:canRepeat:inTime:)``.
        case send
        /// The answer is the caller's.
        case passOn
        /// There is no answer: the failure is the caller's.
        case fail
    }

    /// What the account, the pool or the token has to be told about the try that has ended.
    public enum Report: Sendable, Hashable {
        /// To the pool.
        case pool(PoolReport.Outcome)
        /// The token of an account is refused and no try of this request is left to need a new one: the next call does.
        case refreshBehind(AccountID, Generation)
    }

    /// Why there is no answer.
    public enum Break: Sendable, Hashable {
        /// The proxy of the account could not be used; the upstream has seen nothing.
        case proxy
        /// The token of the account cannot be sent.
        case token
        /// Anything else.
        case upstream
    }

    public struct Decision: Sendable, Hashable {
        public var report: Report?
        public var step: Step

        init(_ step: Step, _ report: Report? = nil) {
            self.step = step
            self.report = report
        }
    }

    private let source: RouteSource?
    private let mostTries: Int
    private var excluded: Set<AccountID> = []
    /// Of each account the newest generation that was refused to this request.
    private var refused: [AccountID: Generation] = [:]
    private var current = Credential.own
    public private(set) var log = AttemptLog()

    /// - Parameter source: nil for a call with the caller's own credential.
    public init(source: RouteSource?, tries: Int) {
        self.source = source
        self.mostTries = max(1, tries)
    }

    public func begin() -> Step {
        switch source {
        case nil: .take(.own)
        case .account(let account): .take(.account(account, refused: nil))
        case .pool(let pool): .take(.pool(pool, excluded: [], refused: [:], preferred: nil))
        }
    }

    public mutating func took(_ credential: Credential) -> Step {
        current = credential
        log.begin()
        switch credential {
        case .own: log.note(.ownCredential)
        case .fallback: log.note(.fallback)
        case .account: break
        }
        return .send
    }

    /// - Parameters:
    ///   - canRepeat: whether the request's body can be sent once more.
    ///   - inTime: whether the request's deadline has not passed.
    ///   - canReplace: whether the account may be refreshed for this refusal: see ``RefusalDamper``.
    public mutating func answered(
        _ meaning: APIErrorClass, canRepeat: Bool, inTime: Bool, canReplace: Bool = true
    ) -> Decision {
        guard case .account(let account, let generation) = current else {
            // Told all the same: that a token was refused and nothing came of it.
            if let word = Self.word(meaning) { log.note(word) }
            return Decision(.passOn)
        }
        switch meaning {
        case .none: return Decision(.passOn)
        case .throttle:
            log.note(.throttled)
            return Decision(.passOn, reporting(.throttled))
        case .refresh:
            log.note(.tokenRefused)
            return refused(account, generation, canRepeat: canRepeat, inTime: inTime, canReplace: canReplace)
        case .quota:
            log.note(.quota)
            guard case .pool = source else { return Decision(.passOn) }
            excluded.insert(account)
            return Decision(again(canRepeat: canRepeat, inTime: inTime) ?? .passOn, reporting(.quota))
        }
    }

    public mutating func broke(_ reason: Break, canRepeat: Bool, inTime: Bool) -> Decision {
        guard reason != .upstream, case .account(let account, _) = current, case .pool = source else {
            return Decision(.fail)
        }
        log.note(reason == .token ? .tokenUnusable : .proxyFailed)
        excluded.insert(account)
        return Decision(again(canRepeat: canRepeat, inTime: inTime) ?? .fail, reporting(.failed))
    }

    private mutating func refused(
        _ account: AccountID, _ generation: Generation, canRepeat: Bool, inTime: Bool, canReplace: Bool
    ) -> Decision {
        // One refresh of an account for a request: what is refused right after has another reason than age.
        let isFirst = refused[account] == nil
        refused[account] = max(generation, refused[account] ?? generation)
        if isFirst, !canReplace { log.note(.replacedLately) }
        let isReplaced = isFirst && canReplace
        guard case .pool = source else {
            guard isReplaced else { return Decision(.passOn) }
            if let step = again(canRepeat: canRepeat, inTime: inTime) { return Decision(step) }
            return Decision(.passOn, .refreshBehind(account, generation))
        }
        if isReplaced {
            let step = again(canRepeat: canRepeat, inTime: inTime, preferred: account)
            return Decision(step ?? .passOn, .pool(.tokenRefused))
        }
        // Another one may be allowed what this one is not. The pool is not told: it would only refresh it once more.
        excluded.insert(account)
        return Decision(again(canRepeat: canRepeat, inTime: inTime) ?? .passOn)
    }

    /// Nil where the request cannot be tried once more.
    private mutating func again(canRepeat: Bool, inTime: Bool, preferred: AccountID? = nil) -> Step? {
        guard canRepeat else {
            log.note(.notReplayable)
            return nil
        }
        guard log.tries < mostTries, inTime else {
            log.note(.budgetSpent)
            return nil
        }
        switch source {
        case nil: return nil
        case .account(let account): return .take(.account(account, refused: refused[account]))
        case .pool(let pool):
            return .take(.pool(pool, excluded: excluded, refused: refused, preferred: preferred))
        }
    }

    private func reporting(_ outcome: PoolReport.Outcome) -> Report? {
        guard case .pool = source else { return nil }
        return .pool(outcome)
    }

    private static func word(_ meaning: APIErrorClass) -> AttemptLog.Word? {
        switch meaning {
        case .refresh: .tokenRefused
        case .quota: .quota
        case .throttle: .throttled
        case .none: nil
        }
    }
}
