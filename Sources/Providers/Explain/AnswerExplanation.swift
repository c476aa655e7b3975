public import RefreshCore

/// How an answer of the token endpoint was understood, step by step. Holds no token.
public struct AnswerExplanation: Sendable, Hashable {
    /// One thing that was looked at.
    public struct Step: Sendable, Hashable {
        /// A rule, or a step of the protocol itself.
        public var text: String
        /// What it says where it applies.
        public var meaning: String?
        public var applies: Bool
        /// Why it applies or does not.
        public var reason: String
    }

    public var steps: [Step]
    /// rotated, refused, misconfigured, throttled or ambiguous.
    public var outcome: String
    /// What a log would say; empty for tokens.
    public var message: String
}

extension ProviderDefinition {
    /// What ``ProviderCatalog/interpret(_:provider:)`` says of an answer, and why.
    public func explain(_ response: RawTokenResponse) -> AnswerExplanation {
        Explainer(definition: self, response: response).explanation()
    }
}

private struct Explainer {
    let definition: ProviderDefinition
    let response: RawTokenResponse

    private var interpreter: AnswerInterpreter { AnswerInterpreter(definition: definition) }
    private var scrubber: Scrubber { Scrubber(secrets: definition.secrets) }

    func explanation() -> AnswerExplanation {
        let outcome = interpreter.outcome(of: response)
        var steps: [AnswerExplanation.Step] = []
        let answer = TokenAnswer.parse(response.body, definition.response)
        if (200..<300).contains(response.status) {
            steps.append(bodyStep(answer))
            if case .rotated(let grant) = outcome, let answer {
                return AnswerExplanation(
                    steps: steps + tokenSteps(answer, grant), outcome: "rotated", message: "")
            }
            if let answer {
                let has = answer.accessToken != nil
                steps.append(
                    step(
                        "access token at \(list(definition.response.accessToken))", applies: has,
                        has ? "there, but no token can be like this" : "nothing there"))
            }
        } else {
            steps += protocolSteps()
        }
        if !steps.contains(where: { $0.applies && $0.meaning != nil }) { steps += ruleSteps() }
        let (name, message) = words(outcome)
        if !steps.contains(where: { $0.applies && $0.meaning == name }) {
            steps.append(step("no rule decides", name, applies: true, "HTTP \(response.status) alone says so"))
        }
        return AnswerExplanation(steps: steps, outcome: name, message: message)
    }

    private func step(_ text: String, _ meaning: String? = nil, applies: Bool, _ reason: String)
        -> AnswerExplanation.Step
    {
        AnswerExplanation.Step(text: text, meaning: meaning, applies: applies, reason: reason)
    }

    private func list(_ pointers: [JSONPointer]) -> String {
        pointers.map(\.description).joined(separator: " or ")
    }

    private func bodyStep(_ answer: TokenAnswer?) -> AnswerExplanation.Step {
        step(
            "the body is a JSON object", applies: answer != nil,
            answer == nil ? "it is not (\(response.body.count) bytes)" : "\(response.body.count) bytes")
    }

    private func tokenSteps(_ answer: TokenAnswer, _ grant: TokenGrant) -> [AnswerExplanation.Step] {
        let expiry = TokenExpiry.read(
            answer, accessToken: grant.accessToken.reveal(), requestedAt: response.requestedAt,
            isReplay: response.isReplay, defaultLifetime: definition.defaultLifetime)
        func moment(_ time: WallTime) -> String { MomentFormat.text(time, "%Y-%m-%dT%H:%M:%SZ") }
        var steps = [
            step(
                "access token at \(list(definition.response.accessToken))", "rotated", applies: true,
                "\(grant.accessToken.reveal().utf8.count) bytes, sent as \(grant.tokenType)")
        ]
        if definition.accountFields == nil {
            steps.append(
                step(
                    "refresh token at \(list(definition.response.refreshToken))", applies: grant.refreshToken != nil,
                    grant.refreshToken.map { "\($0.reveal().utf8.count) bytes" } ?? "none: the old one stays in use"))
        }
        steps.append(step("the access token ends", applies: true, "\(moment(expiry.time)), from \(expiry.source)"))
        if let end = grant.grantExpiresAt { steps.append(step("the grant ends", applies: true, moment(end))) }
        return steps
    }

    private func protocolSteps() -> [AnswerExplanation.Step] {
        let hasPause = RetryAfter.duration(response.headers, asked: response.requestedAt) != nil
        return [
            step(
                "HTTP 429 is throttled, whatever rules say", "throttled", applies: response.status == 429,
                "HTTP \(response.status)"),
            step(
                "HTTP 503 with Retry-After is throttled, whatever rules say", "throttled",
                applies: response.status == 503 && hasPause,
                "HTTP \(response.status), \(hasPause ? "with" : "no") Retry-After"),
        ]
    }

    private func ruleSteps() -> [AnswerExplanation.Step] {
        let observed = interpreter.observed(response)
        let rules = definition.errors.token
        let code = rules.code(observed) ?? observed.codes.first
        return rules.examine(observed).map { rule, mismatch in
            var applies = mismatch == nil
            var reason = mismatch.map { why($0, rule.conditions, code) } ?? "everything it asks for holds"
            if applies, rule.meaning == .refused || rule.meaning == .misconfigured,
                response.status == 408 || (response.status >= 500 && rule.conditions.statuses.isEmpty)
            {
                applies = false
                reason = "HTTP \(response.status) says nothing for certain, and the rule does not name it"
            }
            return step(rule.conditions.summary, rule.meaning.rawValue, applies: applies, reason)
        }
    }

    private func why(_ mismatch: RuleConditions.Mismatch, _ conditions: RuleConditions, _ code: String?) -> String {
        switch mismatch {
        case .status: "the status is \(response.status)"
        case .code:
            code.map { "the error code is \(scrubber.code($0) ?? "another one")" } ?? "there is no error code"
        case .header(let name):
            response.header(name) == nil ? "there is no header \(name)" : "the header \(name) is another"
        case .json(let pointer): "at \(pointer) there is nothing, or something else"
        case .contains: "the body contains none of these"
        case .matches: "the body does not match"
        case .body: response.body.isEmpty ? "the body is empty" : "the body has \(response.body.count) bytes"
        }
    }

    private func words(_ outcome: ExchangeOutcome) -> (String, String) {
        switch outcome {
        case .rotated: ("rotated", "")
        case .refused(let message): ("refused", message)
        case .misconfigured(let message): ("misconfigured", message)
        case .throttled(let message, let pause):
            ("throttled", message + (pause.map { ", for \(Int($0.inSeconds)) s" } ?? ""))
        case .ambiguous(let message): ("ambiguous", message)
        }
    }
}
