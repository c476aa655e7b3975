public import ConfigurationFile
public import RefreshCore

/// The pools that this instance knows, and the chains by which some get new accounts.
public struct PoolCatalog: Sendable, Hashable {
    public var settings: [PoolName: PoolSettings]
    public var chains: [PoolName: AcquisitionChain]

    public init(settings: [PoolName: PoolSettings] = [:], chains: [PoolName: AcquisitionChain] = [:]) {
        self.settings = settings
        self.chains = chains
    }

    /// In the order of their names.
    public var pools: [PoolSettings] { settings.values.sorted { $0.name < $1.name } }

    /// The keys of a pool's section with their effective values. Of steps only the names: what they send may be secret.
    public func shown(_ pool: PoolSettings) -> [(key: String, value: String)] {
        var shown = [(key: "tiers", value: pool.tiers.map(\.rawValue).joined(separator: ", "))]
        shown += [
            ("strategy", pool.strategy.rawValue),
            ("max_concurrent", pool.maxConcurrent.map(String.init) ?? "off"),
            ("lease_ttl", DurationText.format(pool.leaseTTL)),
            ("acquisition_wait", DurationText.format(pool.acquisitionWait)),
            ("cooldown.quota", DurationText.format(pool.cooldowns.quota)),
            ("cooldown.throttled", DurationText.format(pool.cooldowns.throttled)),
            ("cooldown.longest", DurationText.format(pool.cooldowns.longest)),
            ("cooldown.limit", DurationText.format(pool.cooldowns.limit)),
        ]
        guard let limits = pool.acquisition, let chain = chains[pool.name] else {
            return shown + [("acquisition", "off")]
        }
        shown += [
            ("acquisition.provider", chain.provider.rawValue),
            ("acquisition.steps", chain.steps.map(\.name).joined(separator: ", ")),
            ("acquisition.tier", limits.tier.rawValue),
            ("acquisition.min_available", String(limits.minAvailable)),
            ("acquisition.max_per_day", String(limits.maxPerDay)),
            ("acquisition.min_interval", DurationText.format(limits.minInterval)),
            ("acquisition.step_timeout", DurationText.format(chain.stepTimeout)),
        ]
        if let caFile = chain.caFile { shown.append(("acquisition.ca_file", caFile)) }
        return shown
    }

    /// Reads the section `pools`: a mapping of names to
    /// - `tiers`: a list of names, default `[anonymous, shared, personal]`
    /// - `strategy`: one of ``PoolStrategy``, default `round_robin`
    /// - `max_concurrent`: 1 to 10,000, default any number; `lease_ttl`: 1s to 24h, default 10m
    /// - `acquisition_wait`: 0s to 2m, default 15s
    /// - `cooldown`: `quota` (1m), `throttled` (10s), `longest` (1h), `limit` (7d)
    /// - `acquisition`: the keys of ``AcquisitionChain/read(_:pool:catalog:)`` and
    ///   `tier` (default the first), `min_available` (1), `max_per_day` (10), `min_interval` (1m)
    public static func read(_ section: ConfigurationSection, catalog: ProviderCatalog) -> PoolCatalog {
        var pools = PoolCatalog()
        for key in section.keys {
            section.section(key) { pool in
                let name: PoolName
                do throws(InvalidName) {
                    name = try PoolName(key)
                } catch {
                    pool.report(.invalidValue, error.description)
                    _ = pool.keys
                    return
                }
                pools.add(name, pool, catalog)
            }
        }
        return pools
    }

    private mutating func add(_ name: PoolName, _ section: ConfigurationSection, _ catalog: ProviderCatalog) {
        guard section.isMapping else { return }
        var pool = PoolSettings(name: name, tiers: Self.tiers(section) ?? PoolSettings.usualTiers)
        pool.strategy = section.choice("strategy", of: PoolStrategy.self) ?? pool.strategy
        pool.maxConcurrent = section.int("max_concurrent", in: 1...10_000)
        pool.leaseTTL = section.duration("lease_ttl", in: .seconds(1) ... .seconds(86_400)) ?? pool.leaseTTL
        pool.acquisitionWait =
            section.duration("acquisition_wait", in: .zero ... .seconds(120)) ?? pool.acquisitionWait
        if section.contains("cooldown") {
            section.section("cooldown") { pool.cooldowns = Self.cooldowns($0) }
        }
        if section.contains("acquisition") {
            section.section("acquisition") { acquisition in
                let chain = AcquisitionChain.read(acquisition, pool: name, catalog: catalog)
                let tier = Self.tier(acquisition, of: pool)
                let least = acquisition.int("min_available", in: 1...10_000)
                let most = acquisition.int("max_per_day", in: 1...100_000)
                let interval = acquisition.duration("min_interval", in: .seconds(1) ... .seconds(86_400))
                guard let chain, let tier else { return }
                var limits = AcquisitionLimits(tier: tier, longestRun: chain.longestRun)
                limits.minAvailable = least ?? limits.minAvailable
                limits.maxPerDay = most ?? limits.maxPerDay
                limits.minInterval = interval ?? limits.minInterval
                pool.acquisition = limits
                chains[name] = chain
            }
        }
        settings[name] = pool
    }

    private static func cooldowns(_ section: ConfigurationSection) -> CooldownRules {
        var rules = CooldownRules()
        let lengths = Duration.seconds(1) ... .seconds(30 * 86_400)
        rules.quota = section.duration("quota", in: lengths) ?? rules.quota
        rules.throttled = section.duration("throttled", in: lengths) ?? rules.throttled
        rules.longest = section.duration("longest", in: lengths) ?? max(rules.longest, rules.quota, rules.throttled)
        rules.limit = section.duration("limit", in: lengths) ?? max(rules.limit, rules.longest)
        if rules.longest < max(rules.quota, rules.throttled) {
            section.report(
                .invalidValue, "longest",
                "is what a cool-down grows to: it cannot be shorter than quota and throttled, what it begins with")
        }
        if rules.limit < rules.longest {
            section.report(.invalidValue, "limit", "cannot be shorter than longest")
        }
        return rules
    }

    private static func tiers(_ section: ConfigurationSection) -> [TierName]? {
        guard let texts = section.strings("tiers") else { return nil }
        var tiers: [TierName] = []
        for text in texts {
            do {
                let tier = try TierName(text)
                if tiers.contains(tier) { section.report(.duplicateKey, "tiers", "names \(tier) twice") }
                tiers.append(tier)
            } catch {
                section.report(.invalidValue, "tiers", error.description)
            }
        }
        if tiers.isEmpty { section.report(.invalidValue, "tiers", "needs at least one tier") }
        return tiers
    }

    private static func tier(_ section: ConfigurationSection, of pool: PoolSettings) -> TierName? {
        guard let text = section.string("tier") else { return section.contains("tier") ? nil : pool.tiers.first }
        if let tier = pool.tiers.first(where: { $0.rawValue == text }) { return tier }
        section.report(
            .invalidValue, "tier",
            "\(Quoted.text(text)) is none of the pool's tiers: \(pool.tiers.map(\.rawValue).joined(separator: ", "))")
        return nil
    }
}
