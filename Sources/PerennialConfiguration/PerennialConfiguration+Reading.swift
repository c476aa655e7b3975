public import ConfigurationFile
import Gateway
import Providers
import RedisClient
import RefreshCore
import Webhooks

extension PerennialConfiguration {
    /// Reads one YAML file (or none), with the environment over it and the command line over both.
    ///
    /// Keys of the file: `listen`, `state_dir`, `redis` (`url, username, password, password_file, ca_file,
    /// certificate_file, key_file, server_name, prefix, command_timeout, durability, durability_timeout,
    /// profile, command_budget, ping_interval, heartbeat_interval`), `sealing.key_file`,
    /// `auth.keys_file`, `refresh` (`proactive, interval, window, max_concurrent, fallback_reread`), `lease.ttl`, `log` (`level, format`), `providers`,
    /// `pools`, `routes`, `gateway` (`spill_dir, spill_max, spill_keep_free`), `fallback` (`accounts, pools`) and `webhooks`.
    ///
    /// Variables: `REDIS_URL`, `ENABLE_PROACTIVE_TOKEN_REFRESH` or `PERENNIAL_PROACTIVE`, `TOKEN_REFRESH_INTERVAL` and
    /// `TOKEN_REFRESH_WINDOW` (whole minutes), `PERENNIAL_LISTEN` (separated by commas), `PERENNIAL_STATE_DIR`,
    /// `PERENNIAL_REDIS_PASSWORD[_FILE]`, `PERENNIAL_SEALING_KEY[_FILE]`, `PERENNIAL_AUTH_KEYS_FILE`,
    /// `PERENNIAL_LOG_LEVEL`, `PERENNIAL_LOG_FORMAT`.
    ///
    /// - Throws: ``ConfigurationError`` with everything that is wrong, each with its key and line, variable or option.
    public static func load(
        file: String?, environment: [String: String], overrides: ConfigurationOverrides = ConfigurationOverrides()
    ) throws(ConfigurationError) -> PerennialConfiguration {
        let document: ConfigurationDocument
        if let file {
            document = try ConfigurationDocument(contentsOf: file)
        } else {
            document = try ConfigurationDocument([], file: "")
        }
        return try read(document, environment: environment, overrides: overrides)
    }

    /// The same from a text; `file` is what messages call it.
    public static func parse(
        _ yaml: String, file: String = "perennial.yaml", environment: [String: String] = [:],
        overrides: ConfigurationOverrides = ConfigurationOverrides()
    ) throws(ConfigurationError) -> PerennialConfiguration {
        let document = try ConfigurationDocument(Array(yaml.utf8), file: file)
        return try read(document, environment: environment, overrides: overrides)
    }

    private static func read(
        _ document: ConfigurationDocument, environment: [String: String], overrides: ConfigurationOverrides
    ) throws(ConfigurationError) -> PerennialConfiguration {
        let issues = ConfigurationIssues()
        let variables = EnvironmentReader(environment: environment, issues: issues)
        let configuration = document.read(environment: environment, issues: issues) { top in
            ConfigurationReading(top: top, variables: variables, overrides: overrides, issues: issues).configuration()
        }
        try issues.throwIfAny()
        return configuration
    }
}

/// One pass over file, environment and options; what is wrong goes to `issues`.
private struct ConfigurationReading {
    let top: ConfigurationSection
    let variables: EnvironmentReader
    let overrides: ConfigurationOverrides
    let issues: ConfigurationIssues

    func configuration() -> PerennialConfiguration {
        var configuration = PerennialConfiguration(stateDirectory: stateDirectory())
        if let listen = listen() { configuration.listen = listen }
        let refresh = refresh()
        configuration.refresh = refresh.settings
        let window = configuration.refresh.window
        configuration.providers =
            top.section("providers") { ProviderCatalog.read($0, defaultWindow: window) } ?? ProviderCatalog()
        configuration.webhooks = top.section("webhooks") { WebhookCatalog.read($0) } ?? WebhookCatalog()
        let providers = configuration.providers
        configuration.pools = top.section("pools") { PoolCatalog.read($0, catalog: providers) } ?? PoolCatalog()
        let pools = configuration.pools
        configuration.routes = top.section("routes") { RouteCatalog.read($0, pools: pools) } ?? RouteCatalog()
        configuration.spill = top.section("gateway") { SpillSettings.read($0) } ?? SpillSettings()
        top.section("fallback") { fallback in
            configuration.fallbacks = FallbackReading.accounts(fallback)
            configuration.poolFallbacks = FallbackReading.pools(fallback, known: pools)
        }
        configuration.redis = redis(configuration.providers)
        let isHosted = configuration.redis.profile == .hosted
        if isHosted {
            if !refresh.hasInterval { configuration.refresh.interval = HostedDefaults.refreshInterval }
            if !refresh.hasReread { configuration.refresh.fallbackReread = HostedDefaults.fallbackReread }
        }
        configuration.sealing = sealing()
        let keysFile = top.section("auth") { $0.string("keys_file") } ?? nil
        configuration.authKeysFile = variables.text("PERENNIAL_AUTH_KEYS_FILE") ?? keysFile
        let ttl = top.section("lease") { $0.duration("ttl", in: .milliseconds(500) ... .seconds(7200)) } ?? nil
        configuration.leaseTTL = ttl ?? (isHosted ? HostedDefaults.leaseTTL : configuration.leaseTTL)
        let log = top.section("log") { log in
            (level: log.choice("level", of: LogLevel.self), format: log.choice("format", of: LogFormat.self))
        }
        let level = variables.choice("PERENNIAL_LOG_LEVEL", of: LogLevel.self)
        let format = variables.choice("PERENNIAL_LOG_FORMAT", of: LogFormat.self)
        configuration.logLevel = overrides.logLevel ?? level ?? log?.level ?? configuration.logLevel
        configuration.logFormat = overrides.logFormat ?? format ?? log?.format ?? configuration.logFormat
        return configuration
    }

    // MARK: Places

    /// Nil for the default.
    private func listen() -> [ListenAddress]? {
        let written = top.oneOrMany("listen")
        if !overrides.listen.isEmpty {
            return addresses(overrides.listen, at: .flag("--listen"))
        }
        if let variable = variables.text("PERENNIAL_LISTEN") {
            let texts = variable.split(separator: ",").map { String($0.drop { $0 == " " }) }
            return addresses(texts, at: .environment("PERENNIAL_LISTEN"))
        }
        guard let written else { return nil }
        return addresses(written, at: top.origin(of: "listen"), key: "listen")
    }

    private func addresses(
        _ texts: [String], at origin: ConfigurationIssue.Origin, key: String = ""
    ) -> [ListenAddress]? {
        if texts.isEmpty {
            issues.report(ConfigurationIssue(.invalidValue, at: origin, key: key, "needs at least one address"))
        }
        var addresses: [ListenAddress] = []
        for text in texts {
            do {
                let address = try ListenAddress(text)
                if addresses.contains(address) {
                    issues.report(ConfigurationIssue(.duplicateKey, at: origin, key: key, "names \(address) twice"))
                }
                addresses.append(address)
            } catch {
                issues.report(ConfigurationIssue(.invalidValue, at: origin, key: key, error.description))
            }
        }
        return addresses
    }

    private func stateDirectory() -> String {
        let written = top.string("state_dir")
        if let path = overrides.stateDirectory ?? variables.text("PERENNIAL_STATE_DIR") ?? written { return path }
        // The XDG base directory specification: a relative path counts as unset.
        if let state = variables.text("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/perennial" }
        if let home = variables.text("HOME") { return "\(home)/.local/state/perennial" }
        if !top.contains("state_dir") {
            issues.report(
                ConfigurationIssue(
                    .missing, at: top.origin, key: "state_dir",
                    "is needed where neither HOME nor XDG_STATE_HOME is set; or set PERENNIAL_STATE_DIR"))
        }
        return ""
    }

    // MARK: Redis

    private func redis(_ providers: ProviderCatalog) -> RedisSettings {
        let password = variables.secret("PERENNIAL_REDIS_PASSWORD")
        let url = redisURLVariable()
        var settings =
            top.section("redis") { section in
                let settings = redis(in: section, url: url, password: password)
                checkDurability(settings, providers, section)
                return settings
            } ?? RedisSettings()
        settings.url = url ?? settings.url
        settings.password = password ?? settings.password
        return settings
    }

    private func redisURLVariable() -> Secret? {
        guard let text = variables.text("REDIS_URL") else { return nil }
        if let reason = Self.reasonAgainstRedisURL(text) { variables.report("REDIS_URL", reason) }
        return Secret(text)
    }

    private func redis(in section: ConfigurationSection, url: Secret?, password: Secret?) -> RedisSettings {
        var settings = RedisSettings()
        if let text = section.string("url", secret: true) {
            if let reason = Self.reasonAgainstRedisURL(text) { section.report(.invalidValue, "url", reason) }
            settings.url = Secret(text)
        }
        settings.username = section.string("username")
        settings.password = filePassword(section, overridden: password != nil)
        settings.caFile = section.string("ca_file")
        settings.certificateFile = section.string("certificate_file")
        settings.keyFile = section.string("key_file")
        settings.serverName = section.string("server_name")
        if let prefix = section.string("prefix") {
            if Self.isPrefix(prefix) {
                settings.prefix = prefix
            } else {
                section.report(
                    .invalidValue, "prefix", "has to be 1 to 64 characters out of letters, digits and . _ - :")
            }
        }
        settings.commandTimeout =
            section.duration("command_timeout", in: .milliseconds(50) ... .seconds(300)) ?? settings.commandTimeout
        if let durability = section.parsed(
            "durability", "none, replicas:N (N from 1 to \(Durability.mostReplicas)) or aof", { Durability($0) })
        {
            settings.durability = durability
        }
        settings.durabilityTimeout =
            section.duration("durability_timeout", in: .milliseconds(10) ... .seconds(60))
            ?? settings.durabilityTimeout
        settings.profile = section.choice("profile", of: RedisProfile.self) ?? settings.profile
        if settings.profile == .hosted {
            settings.commandBudget = HostedDefaults.commandBudget
            settings.pingInterval = HostedDefaults.pingInterval
            settings.heartbeatInterval = HostedDefaults.heartbeatInterval
        }
        settings.commandBudget = section.int("command_budget", in: 1...1_000_000_000_000) ?? settings.commandBudget
        settings.pingInterval =
            section.duration("ping_interval", in: .seconds(1) ... .seconds(86_400)) ?? settings.pingInterval
        settings.heartbeatInterval =
            section.duration("heartbeat_interval", in: .seconds(1) ... .seconds(86_400)) ?? settings.heartbeatInterval
        for (one, other) in [("certificate_file", "key_file"), ("key_file", "certificate_file")]
        where section.contains(one) && !section.contains(other) {
            section.report(.contradiction, one, "needs \(other) as well")
        }
        if url == nil, !section.contains("url") {
            let needsURL = [
                "username", "password", "password_file", "ca_file", "certificate_file", "key_file", "server_name",
                "durability", "durability_timeout", "command_budget",
            ]
            for key in needsURL where section.contains(key) {
                section.report(.contradiction, key, "is of no use without url: set redis.url or REDIS_URL")
            }
            if settings.profile == .hosted {
                section.report(.contradiction, "profile", "hosted needs a url: set redis.url or REDIS_URL")
            }
        }
        return settings
    }

    /// A claim that is confirmed later than `send_by` is never used.
    private func checkDurability(
        _ settings: RedisSettings, _ providers: ProviderCatalog, _ section: ConfigurationSection
    ) {
        guard settings.durability != .none else { return }
        for provider in providers.providers {
            guard let policy = providers.policy(for: provider), settings.durabilityTimeout >= policy.sendBy else {
                continue
            }
            section.report(
                .contradiction, section.contains("durability_timeout") ? "durability_timeout" : "durability",
                "waits \(DurationText.format(settings.durabilityTimeout)) for Redis, which has to be shorter than "
                    + "providers.\(provider).send_by (\(DurationText.format(policy.sendBy)))")
        }
    }

    private func filePassword(_ section: ConfigurationSection, overridden: Bool) -> Secret? {
        let value = section.string("password", secret: true)
        let file = section.string("password_file")
        if section.contains("password"), section.contains("password_file") {
            section.report(.contradiction, "password_file", "give either password or password_file, not both")
            return nil
        }
        guard let file, !overridden else { return value.map { Secret($0) } }
        do {
            return Secret(try BoundedFile.readSecret(file))
        } catch {
            section.report(.unreadable, "password_file", error.description)
            return nil
        }
    }

    /// Never repeats the URL, which may hold a password.
    private static func reasonAgainstRedisURL(_ text: String) -> String? {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            return "holds a blank or a control character: percent-encode it"
        }
        return RedisConfiguration.reasonAgainst(url: text)
    }

    private static func isPrefix(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || Array("._-:".utf8).contains(byte)
            }
    }

    // MARK: Keys and times

    private func sealing() -> SealingSource? {
        let written = top.section("sealing") { $0.string("key_file") } ?? nil
        if let file = variables.text("PERENNIAL_SEALING_KEY_FILE") {
            if variables.text("PERENNIAL_SEALING_KEY") != nil {
                variables.report(
                    "PERENNIAL_SEALING_KEY_FILE", "PERENNIAL_SEALING_KEY is set as well: set only one of them",
                    .contradiction)
            }
            return .file(file)
        }
        if let key = variables.text("PERENNIAL_SEALING_KEY") { return .key(Secret(key)) }
        return written.map { .file($0) }
    }

    private func refresh() -> (settings: RefreshSettings, hasInterval: Bool, hasReread: Bool) {
        var (hasInterval, hasReread) = (false, false)
        var settings =
            top.section("refresh") { section in
                hasInterval = section.contains("interval")
                hasReread = section.contains("fallback_reread")
                var settings = RefreshSettings()
                settings.proactive = section.bool("proactive") ?? settings.proactive
                settings.interval =
                    section.duration("interval", in: .seconds(1) ... .seconds(86_400)) ?? settings.interval
                settings.window =
                    section.duration("window", in: .seconds(1) ... .seconds(7 * 86_400)) ?? settings.window
                settings.maxConcurrent = section.int("max_concurrent", in: 1...100_000) ?? settings.maxConcurrent
                settings.fallbackReread =
                    section.duration("fallback_reread", in: .milliseconds(10) ... .seconds(60))
                    ?? settings.fallbackReread
                return settings
            } ?? RefreshSettings()
        let seed = variables.bool("ENABLE_PROACTIVE_TOKEN_REFRESH")
        let own = variables.bool("PERENNIAL_PROACTIVE")
        if let seed, let own, seed != own {
            variables.report(
                "PERENNIAL_PROACTIVE", "says the opposite of ENABLE_PROACTIVE_TOKEN_REFRESH: set only one of them",
                .contradiction)
        }
        settings.proactive = overrides.proactive ?? own ?? seed ?? settings.proactive
        if let interval = variables.minutes("TOKEN_REFRESH_INTERVAL", atMost: 1440) {
            settings.interval = interval
            hasInterval = true
        }
        settings.window = variables.minutes("TOKEN_REFRESH_WINDOW", atMost: 7 * 1440) ?? settings.window
        return (settings, hasInterval, hasReread)
    }
}
