/// What a caller key allows. `admin` implies everything, `refresh` implies `read`.
public enum Scope: String, Sendable, Hashable, CaseIterable {
    /// Tokens, accounts, instances.
    case read
    /// Demanding a refresh.
    case refresh
    /// Adding, changing, removing, pausing and resuming accounts.
    case admin

    /// Whether a key with this scope may do what needs `needed`.
    public func implies(_ needed: Scope) -> Bool {
        switch self {
        case .admin: true
        case .refresh: needed != .admin
        case .read: needed == .read
        }
    }
}
