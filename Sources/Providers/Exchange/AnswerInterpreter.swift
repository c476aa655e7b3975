import RefreshCore

/// Says what the answer of a token endpoint means: a pure function of the provider's definition and the answer.
///
/// The order of the rules matters. What the protocol says for certain comes first (429 spends nothing), then the
/// provider's error codes, then the bare status. A refusal kills an account, so it is only ever taken from an error
/// code in an answer whose status allows one.
struct AnswerInterpreter {
    let definition: ProviderDefinition

    func outcome(of response: RawTokenResponse) -> ExchangeOutcome {
        let answer = TokenAnswer.parse(response.body, definition.response)
        if (200..<300).contains(response.status) { return success(response, answer) }

        let message = message(response, answer)
        let pause = retryAfter(response)
        if response.status == 429 { return .throttled(message, retryAfter: pause) }
        if response.status == 503, pause != nil { return .throttled(message, retryAfter: pause) }

        if let outcome = byRule(response, answer, message) { return outcome }
        return byStatus(response, answer, message)
    }

    // MARK: 2xx

    private func success(_ response: RawTokenResponse, _ answer: TokenAnswer?) -> ExchangeOutcome {
        guard let answer else {
            return .ambiguous(
                "HTTP \(response.status), but the body is not a JSON object (\(response.body.count) bytes)")
        }
        guard let text = answer.accessToken, !text.isEmpty else {
            // Some providers refuse with 200. The description is left out: a 2xx may hold tokens anywhere.
            let message = "HTTP \(response.status) without an access token" + codes(answer, prefix: ", error ")
            return byRule(response, answer, message) ?? .ambiguous(message)
        }
        let accessToken = Secret(text)
        var refreshToken: Secret?
        do {
            try InvalidToken.check(accessToken, field: "access_token")
            // Where an account is made of fields, nothing that a provider returns takes their place.
            if definition.accountFields == nil, let text = answer.refreshToken {
                let token = Secret(text)
                try InvalidToken.check(token, field: "refresh_token")
                refreshToken = token
            }
        } catch {
            return .ambiguous("HTTP \(response.status), but \(error.description)")
        }
        return .rotated(
            TokenGrant(
                accessToken: accessToken, refreshToken: refreshToken, tokenType: tokenType(answer.tokenType),
                expiresAt: TokenExpiry.of(
                    answer, accessToken: text, requestedAt: response.requestedAt, isReplay: response.isReplay,
                    defaultLifetime: definition.defaultLifetime), requestedAt: response.requestedAt,
                grantExpiresAt: TokenExpiry.ofGrant(answer, requestedAt: response.requestedAt)))
    }

    /// As it goes into an Authorization header; some providers write "bearer" and some resource servers take only "Bearer".
    private func tokenType(_ given: String?) -> String {
        guard let given, given.utf8.count <= 64, HTTPText.isToken(given), given.lowercased() != "bearer" else {
            return "Bearer"
        }
        return given
    }

    // MARK: Errors

    private func byRule(
        _ response: RawTokenResponse, _ answer: TokenAnswer?, _ message: String
    ) -> ExchangeOutcome? {
        guard let rule = definition.errors.token.match(observed(response)) else { return nil }
        switch rule.meaning {
        case .throttled: return .throttled(message, retryAfter: retryAfter(response))
        case .ambiguous: return .ambiguous(message)
        case .refused, .misconfigured:
            // A server that failed in between cannot say for certain, unless the rule names this very status.
            let isNamed = !rule.conditions.statuses.isEmpty
            guard isNamed || response.status < 500, response.status != 408 else { return nil }
            return rule.meaning == .refused ? .refused(message) : .misconfigured(message)
        }
    }

    /// The answer as the rules see it.
    func observed(_ response: RawTokenResponse) -> ProviderAnswer {
        ProviderAnswer(
            status: response.status, headers: response.headers, body: response.body, mapping: definition.response)
    }

    private func retryAfter(_ response: RawTokenResponse) -> Duration? {
        RetryAfter.duration(response.headers, asked: response.requestedAt)
    }

    private func byStatus(
        _ response: RawTokenResponse, _ answer: TokenAnswer?, _ message: String
    ) -> ExchangeOutcome {
        switch response.status {
        case 300..<400:
            return .misconfigured("\(message): the token endpoint redirects elsewhere; check token_url")
        case 403 where answer?.errorCodes.isEmpty ?? true:
            // A gateway in front of the provider turned the request away: nothing was spent, and it may pass later.
            return .throttled(message, retryAfter: retryAfter(response))
        case 404, 405:
            return .misconfigured("\(message): check token_url")
        case 408:
            return .ambiguous(message)
        case 400..<500:
            return .misconfigured(message)
        default:
            return .ambiguous(message)
        }
    }

    // MARK: Words

    /// Status, error code and a shortened description; never a token.
    private func message(_ response: RawTokenResponse, _ answer: TokenAnswer?) -> String {
        let scrubber = Scrubber(secrets: definition.secrets)
        var message = "HTTP \(response.status)"
        guard let answer else {
            return message + (response.body.isEmpty ? " with an empty body" : " with a body that is not a JSON object")
        }
        message += codes(answer, prefix: " ")
        if let description = answer.errorDescription.map(scrubber.scrub), !description.isEmpty {
            message += ": \(description)"
        }
        return message
    }

    private func codes(_ answer: TokenAnswer, prefix: String) -> String {
        let scrubber = Scrubber(secrets: definition.secrets)
        guard let first = answer.errorCodes.first else { return "" }
        return prefix + (scrubber.code(first) ?? "(an error code that is not shown)")
    }
}
