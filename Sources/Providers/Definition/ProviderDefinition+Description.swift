import ConfigurationFile
import RefreshCore

extension ProviderDefinition: CustomStringConvertible {
    public var description: String { "\(name) (preset \(preset), \(EndpointURL.masked(tokenURL)))" }

    /// The keys of the configuration with their effective values. Secrets only say "set" or "not set", extra parameters
    /// and headers only their names.
    public var settings: [(key: String, value: String)] {
        var settings: [(key: String, value: String)] = [
            ("preset", preset), ("token_url", EndpointURL.masked(tokenURL)), ("client_id", clientID),
            ("client_secret", clientSecret?.description ?? "not set"), ("client_auth", clientAuth.rawValue),
            ("request_format", requestFormat.rawValue),
        ]
        func add(_ key: String, _ value: String?) {
            if let value, !value.isEmpty { settings.append((key, value)) }
        }
        add("params", parameters.map(\.name).joined(separator: ", "))
        add("headers", headers.map(\.name).joined(separator: ", "))
        add("scope", scope)
        add("audience", audience)
        add("resource", resources.joined(separator: ", "))
        add("ca_file", caFile)
        let grace = if case .grace(let leeway) = rotation { DurationText.format(leeway) } else { "" }
        add("rotation", grace.isEmpty ? rotation.description : "{ grace: \(grace) }")
        for (key, duration) in [
            ("skew", skew), ("window", window), ("default_lifetime", defaultLifetime),
            ("exchange_deadline", exchangeDeadline), ("connect_timeout", connectTimeout), ("send_by", sendBy),
            ("lock_ttl", lockTTL), ("backoff.base", backoffBase), ("backoff.cap", backoffCap),
        ] {
            add(key, DurationText.format(duration))
        }
        add("max_concurrent", String(maxConcurrent))
        for outcome in ErrorRules.Outcome.allCases {
            let codes = errors.rules.filter { $0.outcome == outcome }.map { rule in
                [rule.code, rule.status.map { "\($0)" }].compactMap { $0 }.joined(separator: "@")
            }
            add("errors.\(outcome.rawValue)", codes.joined(separator: ", "))
        }
        return settings
    }
}
