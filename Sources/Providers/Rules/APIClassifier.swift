public import RefreshCore

/// What an answer of the API behind a token means for the token.
public struct APIVerdict: Sendable, Hashable {
    public var meaning: APIErrorClass
    /// The position of the rule that said so, from 0; nil where none applied.
    public var rule: Int?
    /// What the answer asks for (RFC 9110 §10.2.3); nil where it does not.
    public var retryAfter: Duration?

    public init(meaning: APIErrorClass, rule: Int? = nil, retryAfter: Duration? = nil) {
        self.meaning = meaning
        self.rule = rule
        self.retryAfter = retryAfter
    }
}

extension ErrorRules {
    /// Classes an answer of the API by the rules of that phase; ``APIErrorClass/none`` where no rule applies. Pure.
    ///
    /// - Parameter now: when the answer came, which a date in `Retry-After` counts from where the answer has no date.
    public func classify(_ answer: ProviderAnswer, now: WallTime) -> APIVerdict {
        let looked = api.examine(answer)
        guard let last = looked.last, last.mismatch == nil else { return APIVerdict(meaning: .none) }
        return APIVerdict(
            meaning: last.rule.meaning, rule: looked.count - 1,
            retryAfter: RetryAfter.duration(answer.headers, asked: now, longest: RetryAfter.longestOfQuota))
    }

    /// Whether an API answer of this status can be anything but ``APIErrorClass/none``, and whether its body has to be
    /// seen to tell: what streams through the gateway need not be held back otherwise.
    public func apiInterest(status: Int) -> (isPossible: Bool, needsBody: Bool) {
        let rules = api.rules.filter { rule in
            rule.conditions.statuses.isEmpty || rule.conditions.statuses.contains { $0.contains(status) }
        }
        return (rules.contains { $0.meaning != .none }, rules.contains { $0.conditions.looksAtBody })
    }
}

extension RuleConditions {
    /// Whether the body decides.
    package var looksAtBody: Bool {
        !codes.isEmpty || !json.isEmpty || !contains.isEmpty || matches != nil || body != nil
    }
}
