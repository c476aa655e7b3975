import ConfigurationFile

/// A rule that says what an answer means.
public struct ErrorRule<Class: ErrorClass>: Sendable, Hashable {
    public var meaning: Class
    public var conditions: RuleConditions

    public init(_ meaning: Class, _ conditions: RuleConditions) {
        self.meaning = meaning
        self.conditions = conditions
    }

    /// A rule for one error code, a status, or both.
    public init(_ meaning: Class, code: String? = nil, status: Int? = nil) {
        self.init(
            meaning, RuleConditions(codes: code.map { [$0] } ?? [], statuses: status.map { [$0] } ?? []))
    }
}

/// What rules of one phase can say.
public protocol ErrorClass: RawRepresentable<String>, CaseIterable, Sendable, Hashable {}

/// What an error at the token endpoint means.
public enum TokenErrorClass: String, ErrorClass {
    /// A definite refusal of this refresh token.
    case refused
    /// The provider's configuration is at fault, not the account.
    case misconfigured
    /// Rate limited, or asked to come back later: nothing was spent.
    case throttled
    /// Nobody knows whether the refresh token was spent.
    case ambiguous
}

/// What an answer of the API behind a token means, whatever its status.
public enum APIErrorClass: String, ErrorClass {
    /// The access token is not good any more: a new one may be.
    case refresh
    /// The account has used up what it may: another account may have some left.
    case quota
    /// Too many requests; neither token nor account is at fault.
    case throttle
    /// Nothing about the token: for the caller to see.
    case none
}

/// The rules of one phase. The first that applies decides.
public struct RuleList<Class: ErrorClass>: Sendable, Hashable {
    public var rules: [ErrorRule<Class>]

    public init(_ rules: [ErrorRule<Class>] = []) {
        self.rules = rules
    }

    /// The first rule that applies.
    func match(_ answer: ProviderAnswer) -> ErrorRule<Class>? {
        let code = code(answer)
        return rules.first { $0.conditions.mismatch(answer, code: code) == nil }
    }

    /// Each rule up to the one that applies, with what keeps it from applying.
    func examine(_ answer: ProviderAnswer) -> [(rule: ErrorRule<Class>, mismatch: RuleConditions.Mismatch?)] {
        let code = code(answer)
        var looked: [(rule: ErrorRule<Class>, mismatch: RuleConditions.Mismatch?)] = []
        for rule in rules {
            let mismatch = rule.conditions.mismatch(answer, code: code)
            looked.append((rule, mismatch))
            if mismatch == nil { break }
        }
        return looked
    }

    /// The most telling of the answer's codes that a rule names. Where none does, it says nothing here.
    func code(_ answer: ProviderAnswer) -> String? {
        answer.codes.first { code in rules.contains { $0.conditions.codes.contains(code) } }
    }

    /// These rules before those of `preset`, of which exact repetitions fall away.
    package func before(_ preset: RuleList) -> RuleList {
        RuleList(rules + preset.rules.filter { !rules.contains($0) })
    }
}

/// Error rules for both phases: the same word means different things in an answer of the token endpoint and in one of
/// the API.
public struct ErrorRules: Sendable, Hashable {
    public typealias TokenRule = ErrorRule<TokenErrorClass>
    public typealias APIRule = ErrorRule<APIErrorClass>

    public var token: RuleList<TokenErrorClass>
    public var api: RuleList<APIErrorClass>

    public init(token: [TokenRule] = [], api: [APIRule] = []) {
        self.token = RuleList(token)
        self.api = RuleList(api)
    }

    /// Those of RFC 6749 §5.2 and RFC 6750 §3.1, from the preset `oauth2`.
    public static let standard: ErrorRules = {
        // Without rules an `invalid_grant` would count as a misconfiguration, which harms no account.
        guard let preset = try? Preset.load(Preset.standard) else { return ErrorRules() }
        return preset.fields.errors ?? ErrorRules()
    }()
}
