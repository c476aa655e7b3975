import ConfigurationFile
import RefreshCore

extension ProviderDefinition: CustomStringConvertible {
    public var description: String { "\(name) (preset \(preset), \(EndpointURL.masked(tokenURL)))" }

    /// The keys of the configuration with their effective values. Secrets only say "set" or "not set", extra parameters
    /// and headers only their names. ``YAMLDescription`` says everything.
    public var settings: [(key: String, value: String)] {
        var settings: [(key: String, value: String)] = [
            ("preset", preset), ("token_url", EndpointURL.masked(tokenURL)),
        ]
        func add(_ key: String, _ value: String?) {
            if let value, !value.isEmpty { settings.append((key, value)) }
        }
        if grant != .refreshToken { add("grant", grant.rawValue) }
        if let accountFields {
            add("account_fields", accountFields.isEmpty ? "none" : accountFields.joined(separator: ", "))
        }
        add("client_id", clientID)
        settings.append(("client_secret", clientSecret?.description ?? "not set"))
        settings.append(("client_auth", clientAuth.rawValue))
        switch body {
        case nil: add("request_format", requestFormat.rawValue)
        case .form?: add("request", "\(method), a form")
        case .json?: add("request", "\(method), JSON")
        case .text?: add("request", "\(method), a text")
        case .some(.none): add("request", "\(method), without a body")
        }
        add("signing", signingKey.map { "\($0.algorithm.rawValue), key set" })
        add("params", parameters.map(\.name).joined(separator: ", "))
        add("query", query.map(\.name).joined(separator: ", "))
        add("headers", headers.map(\.name).joined(separator: ", "))
        add("vars", variables.map { "\($0.name) \($0.value)" }.joined(separator: ", "))
        add("scope", scope)
        add("audience", audience)
        add("resource", resources.joined(separator: ", "))
        add("ca_file", caFile)
        add("rotation", rotationText)
        for (key, duration) in [
            ("skew", skew), ("window", window), ("default_lifetime", defaultLifetime),
            ("exchange_deadline", exchangeDeadline), ("connect_timeout", connectTimeout), ("send_by", sendBy),
            ("lock_ttl", lockTTL), ("backoff.base", backoffBase), ("backoff.cap", backoffCap),
        ] {
            add(key, DurationText.format(duration))
        }
        add("max_concurrent", String(maxConcurrent))
        add(
            "rate_limit",
            rateLimit.map { "{ requests: \($0.requests), per: \(DurationText.format($0.per)), burst: \($0.burst) }" })
        add(
            "circuit_breaker",
            circuitBreaker.map { "{ failures: \($0.failures), cap: \(DurationText.format($0.cap)) }" } ?? "off")
        add("grant_max_age", grantMaxAge.map { DurationText.format($0) })
        add("grant_warning", DurationText.format(grantWarning))
        if response != .standard {
            add("response.access_token", response.accessToken.map(\.description).joined(separator: ", "))
        }
        for meaning in TokenErrorClass.allCases {
            let rules = errors.token.rules.filter { $0.meaning == meaning }
            add("errors.\(meaning.rawValue)", rules.map(\.conditions.summary).joined(separator: ", "))
        }
        add("errors.api", errors.api.rules.isEmpty ? nil : "\(errors.api.rules.count) rules")
        add("proxy", proxy?.setting?.description)
        add("proxy.ca_file", proxy?.caFile)
        settings += login.settings
        return settings
    }

    /// As the configuration has it.
    var rotationText: String {
        if case .grace(let leeway) = rotation {
            "{ grace: \(DurationText.format(leeway)) }"
        } else {
            rotation.description
        }
    }
}

extension RuleConditions {
    /// In a few words, on one line.
    public var summary: String {
        var words: [String] = []
        if !codes.isEmpty { words.append(codes.joined(separator: "|")) }
        words += headers.map { "header \($0.name)" + ($0.pattern.map { " ~ \($0.source)" } ?? "") }
        words += json.map { condition in
            switch condition.test {
            case .exists: "\(condition.pointer)"
            case .equals(let texts): "\(condition.pointer)=\(texts.joined(separator: "|"))"
            case .matches(let pattern): "\(condition.pointer) ~ \(pattern.source)"
            }
        }
        if !contains.isEmpty { words.append("\"\(contains.joined(separator: "\"|\""))\"") }
        if let matches { words.append("body ~ \(matches.source)") }
        if let body { words.append("\(body.rawValue) body") }
        let status = statuses.map(Self.text).joined(separator: "|")
        if words.isEmpty { return status.isEmpty ? "anything" : status }
        return words.joined(separator: " and ") + (status.isEmpty ? "" : "@\(status)")
    }

    /// As the configuration writes a range of statuses.
    static func text(_ range: ClosedRange<Int>) -> String {
        if range.lowerBound == range.upperBound { return "\(range.lowerBound)" }
        if range.lowerBound % 100 == 0, range.upperBound == range.lowerBound + 99 {
            return "\(range.lowerBound / 100)xx"
        }
        return "\(range.lowerBound)-\(range.upperBound)"
    }
}

extension ProviderDefinition {
    /// The token URL with the values of its query left out.
    public var shownURL: String { EndpointURL.masked(tokenURL) }
}
