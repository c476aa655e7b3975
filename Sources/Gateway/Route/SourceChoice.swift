public import RefreshCore

/// A caller's choice of an account or pool, by a header.
public struct SourceChoice: Sendable, Hashable {
    /// Holds the name of an account or of a pool; not passed on.
    public var header: String
    /// Ids; a `*` at the end stands for anything.
    public var accounts: [String]
    public var pools: [PoolName]

    public init(header: String, accounts: [String] = [], pools: [PoolName] = []) {
        self.header = header
        self.accounts = accounts
        self.pools = pools
    }

    /// What `text` stands for: a pool of that name before an account, `account:ID` and `pool:NAME` where both could be
    /// meant. Nil where the route does not allow it.
    public func source(_ text: String) -> RouteSource? {
        if let rest = text.prefixRemoved("pool:") { return pool(rest) }
        if let rest = text.prefixRemoved("account:") { return account(rest) }
        return pool(text) ?? account(text)
    }

    private func pool(_ text: String) -> RouteSource? {
        pools.first { $0.rawValue == text }.map { .pool($0) }
    }

    private func account(_ text: String) -> RouteSource? {
        guard let id = try? AccountID(text) else { return nil }
        let isAllowed = accounts.contains { pattern in
            pattern.hasSuffix("*") ? text.hasPrefix(pattern.dropLast()) : text == pattern
        }
        return isAllowed ? .account(id) : nil
    }
}

extension String {
    fileprivate func prefixRemoved(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
