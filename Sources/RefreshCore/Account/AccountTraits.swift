/// What is to become of the fields that say where an account belongs and how its provider is reached: everything about it
/// but its name, its credentials and whether it is paused.
public struct TraitChanges: Sendable, Hashable {
    public var pool: FieldChange<PoolName>
    public var tier: FieldChange<TierName>
    public var labels: LabelChange
    public var proxy: FieldChange<ProxySetting>

    public init(
        pool: FieldChange<PoolName> = .keep, tier: FieldChange<TierName> = .keep, labels: LabelChange = .keep,
        proxy: FieldChange<ProxySetting> = .keep
    ) {
        self.pool = pool
        self.tier = tier
        self.labels = labels
        self.proxy = proxy
    }

    public static let none = TraitChanges()

    public var isEmpty: Bool { self == .none }

    public func apply(to account: inout AccountSnapshot) {
        account.pool = pool.applied(to: account.pool)
        account.tier = tier.applied(to: account.tier)
        account.labels = labels.applied(to: account.labels)
        account.proxy = proxy.applied(to: account.proxy)
    }
}

/// Which accounts are wanted: those for which everything that is given holds.
public struct AccountFilter: Sendable, Hashable {
    public var provider: ProviderName?
    /// As shown: a paused account is `disabled`.
    public var status: AccountStatus?
    public var pool: PoolName?
    public var tier: TierName?
    /// Key and value; a nil value takes any.
    public var labels: [String: String?]

    public init(
        provider: ProviderName? = nil, status: AccountStatus? = nil, pool: PoolName? = nil, tier: TierName? = nil,
        labels: [String: String?] = [:]
    ) {
        self.provider = provider
        self.status = status
        self.pool = pool
        self.tier = tier
        self.labels = labels
    }

    /// Reads `key` and `key=value`.
    ///
    /// - Throws: ``InvalidName`` for a key or a value that no label can have.
    public static func labels(_ texts: [String]) throws(InvalidName) -> [String: String?] {
        var labels: [String: String?] = [:]
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if parts.count == 2 { try AccountLabels.check(key: parts[0], value: parts[1]) }
            try AccountLabels.check(key: parts[0])
            labels.updateValue(parts.count == 2 ? parts[1] : nil, forKey: parts[0])
        }
        return labels
    }

    public func matches(_ account: AccountSnapshot) -> Bool {
        if let provider, account.provider != provider { return false }
        if let status, account.shownStatus != status { return false }
        if let pool, account.pool != pool { return false }
        if let tier, account.tier != tier { return false }
        return labels.allSatisfy { key, value in
            guard let own = account.labels[key] else { return false }
            return value == nil || own == value
        }
    }
}
