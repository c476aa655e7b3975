import ConfigurationFile
import Gateway
import Providers
import RefreshCore
import Webhooks

extension PerennialConfiguration {
    /// The effective configuration, key by key as in the file. Secrets only say "set" or "not set".
    public var settings: [(key: String, value: String)] {
        var settings: [(key: String, value: String)] = [
            ("listen", listen.map(\.description).joined(separator: ", ")),
            ("state_dir", stateDirectory),
        ]
        func add(_ key: String, _ value: String?) {
            if let value { settings.append((key, value)) }
        }
        add("redis.url", redis.url.map { Self.masked(url: $0) } ?? "not set (embedded redis-server)")
        add("redis.username", redis.username)
        add("redis.password", redis.password?.description)
        add("redis.ca_file", redis.caFile)
        add("redis.certificate_file", redis.certificateFile)
        add("redis.key_file", redis.keyFile)
        add("redis.server_name", redis.serverName)
        add("redis.prefix", redis.prefix)
        add("redis.command_timeout", DurationText.format(redis.commandTimeout))
        if !redis.isEmbedded {
            add("redis.durability", redis.durability.description)
            add("redis.durability_timeout", DurationText.format(redis.durabilityTimeout))
            add("redis.profile", redis.profile.rawValue)
        }
        add("redis.ping_interval", DurationText.format(redis.pingInterval))
        add("redis.heartbeat_interval", DurationText.format(redis.heartbeatInterval))
        add("redis.command_budget", redis.commandBudget.map { "\($0)" } ?? "none")
        switch sealing {
        case .file(let path): add("sealing.key_file", path)
        case .key: add("sealing.key", "set")
        case nil: add("sealing.key_file", redis.isEmbedded ? "not set (made in state_dir)" : "not set")
        }
        add("auth.keys_file", authKeysFile ?? "not set")
        add("refresh.proactive", String(refresh.proactive))
        add("refresh.interval", DurationText.format(refresh.interval))
        add("refresh.window", DurationText.format(refresh.window))
        add("refresh.max_concurrent", String(refresh.maxConcurrent))
        add("refresh.fallback_reread", DurationText.format(refresh.fallbackReread))
        add("lease.ttl", DurationText.format(leaseTTL))
        for (account, fallback) in fallbacks.sorted(by: { $0.key < $1.key }) {
            add("fallback.accounts.\(account).token", fallback.token.description)
            add("fallback.accounts.\(account).token_type", fallback.tokenType)
        }
        for (pool, fallback) in poolFallbacks.sorted(by: { $0.key < $1.key }) {
            add("fallback.pools.\(pool).token", fallback.token.description)
            add("fallback.pools.\(pool).token_type", fallback.tokenType)
        }
        add("log.level", logLevel.rawValue)
        add("log.format", logFormat.rawValue)
        for provider in providers.definitions {
            for setting in provider.settings { add("providers.\(provider.name).\(setting.key)", setting.value) }
        }
        for pool in pools.pools {
            for setting in pools.shown(pool) { add("pools.\(pool.name).\(setting.key)", setting.value) }
        }
        for route in routes.routes {
            for setting in route.settings { add("routes.\(route.name).\(setting.key)", setting.value) }
        }
        if !routes.isEmpty {
            for setting in spill.settings { add("gateway.\(setting.key)", setting.value) }
        }
        for endpoint in webhooks.endpoints {
            for setting in endpoint.settings { add("webhooks.\(endpoint.name).\(setting.key)", setting.value) }
        }
        return settings
    }

    /// One line for each of ``settings``.
    public func describe() -> String {
        settings.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
    }

    /// The URL without its password and query.
    static func masked(url: Secret) -> String {
        let text = url.reveal()
        guard let scheme = text.firstRange(of: "://") else { return "set" }
        let rest = text[scheme.upperBound...]
        // The last @ ends the credentials: a password may hold another one, and whatever else a URL should not.
        let credentials = rest.lastIndex(of: "@").map { rest[..<$0] }
        let place = rest[(credentials?.endIndex ?? rest.startIndex)...].prefix { $0 != "?" && $0 != "#" }
        guard let credentials else { return String(text[..<scheme.upperBound] + place) }
        let user = credentials.prefix { $0 != ":" }
        let shown = credentials.contains(":") ? "\(user):***" : "***"
        return String(text[..<scheme.upperBound]) + shown + place
    }
}
