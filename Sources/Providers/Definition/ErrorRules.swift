import ConfigurationFile

/// Which error codes at the token endpoint mean what. The first rule that matches decides; where none does, the HTTP
/// status decides alone.
public struct ErrorRules: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        /// A definite refusal of this refresh token.
        case refused
        /// The provider's configuration is at fault, not the account.
        case misconfigured
        /// Rate limited or asked to come back later: nothing was spent.
        case throttled
        /// Nobody knows whether the refresh token was spent.
        case ambiguous
    }

    public struct Rule: Sendable, Hashable {
        public var outcome: Outcome
        /// `error` (RFC 6749 §5.2), or `error.code` or `error.type` where `error` is an object. Nil matches all.
        public var code: String?
        /// The HTTP status; nil matches all.
        public var status: Int?

        public init(_ outcome: Outcome, code: String? = nil, status: Int? = nil) {
            self.outcome = outcome
            self.code = code
            self.status = status
        }
    }

    public var rules: [Rule]

    public init(_ rules: [Rule] = []) {
        self.rules = rules
    }

    /// Those of RFC 6749 §5.2, from the preset `oauth2`.
    public static let standard: ErrorRules = {
        // Without rules an `invalid_grant` would count as a misconfiguration, which harms no account.
        guard let preset = try? Preset.load(Preset.standard) else { return ErrorRules() }
        return preset.fields.errors ?? ErrorRules()
    }()

    /// The first rule for one of `codes`, the most telling of which comes first, and else the first for the status alone.
    func match(codes: [String], status: Int) -> Rule? {
        for code in codes {
            if let rule = rules.first(where: { $0.code == code && ($0.status == nil || $0.status == status) }) {
                return rule
            }
        }
        return rules.first { $0.code == nil && $0.status == status }
    }

    /// Reads `errors: { refused: [invalid_grant, { code: access_denied, status: 403 }, { status: 410 }], … }`.
    init(reading section: ConfigurationSection) {
        rules = []
        for outcome in Outcome.allCases {
            var read: [Rule] = []
            section.elements(
                outcome.rawValue,
                text: { text, _ in read.append(Rule(outcome, code: text)) },
                mapping: { rule in
                    let code = rule.string("code")
                    let status = rule.int("status", in: 100...599)
                    if code == nil, status == nil {
                        rule.report(.missing, "needs a code, a status, or both")
                    } else {
                        read.append(Rule(outcome, code: code, status: status))
                    }
                })
            rules += read
        }
    }
}
