import RefreshCore

/// Which events an endpoint gets.
public struct EventSelection: Sendable, Hashable {
    /// A name in which `*` stands for any number of characters.
    public struct Pattern: Sendable, Hashable, CustomStringConvertible {
        public let text: String

        public init(_ text: String) {
            self.text = text
        }

        public var description: String { text }

        public func matches(_ name: String) -> Bool {
            let parts = text.split(separator: "*", omittingEmptySubsequences: false)
            guard parts.count > 1, let first = parts.first, let last = parts.last else { return text == name }
            guard name.hasPrefix(first) else { return false }
            var rest = name.dropFirst(first.count)
            for part in parts.dropFirst().dropLast() {
                guard let found = rest.firstRange(of: part) else { return false }
                rest = rest[found.upperBound...]
            }
            return rest.hasSuffix(last)
        }
    }

    /// Types that are wanted; empty: all but `token.refreshed`.
    public var types: [Pattern]
    /// Types that are not, whatever ``types`` says.
    public var excludedTypes: [Pattern]
    /// Of events that are about an account: only these; empty: all.
    public var accounts: [Pattern]
    /// Of events that are about a provider: only these; empty: all.
    public var providers: [Pattern]

    public init(
        types: [Pattern] = [], excludedTypes: [Pattern] = [], accounts: [Pattern] = [], providers: [Pattern] = []
    ) {
        self.types = types
        self.excludedTypes = excludedTypes
        self.accounts = accounts
        self.providers = providers
    }

    public func includes(_ event: FleetEvent) -> Bool {
        func isAmong(_ patterns: [Pattern], _ name: String?) -> Bool {
            guard let name, !patterns.isEmpty else { return true }
            return patterns.contains { $0.matches(name) }
        }
        return includes(type: event.type) && isAmong(accounts, event["account"])
            && isAmong(providers, event["provider"])
    }

    public func includes(type: String) -> Bool {
        guard !excludedTypes.contains(where: { $0.matches(type) }) else { return false }
        return types.isEmpty ? type != EventType.refreshed : types.contains { $0.matches(type) }
    }

    /// As the configuration writes it.
    public var text: String {
        let wanted = types.isEmpty ? ["all but \(EventType.refreshed)"] : types.map(\.text)
        return (wanted + excludedTypes.map { "!\($0.text)" }).joined(separator: ", ")
    }
}
