import RefreshCore

/// Policies as a plain list, for tests.
public struct ModelPolicies: PolicySource {
    private let byProvider: [ProviderName: RefreshPolicy]

    public init(_ policies: RefreshPolicy...) {
        self.byProvider = Dictionary(policies.map { ($0.provider, $0) }, uniquingKeysWith: { $1 })
    }

    public func policy(for provider: ProviderName) -> RefreshPolicy? { byProvider[provider] }
    public var providers: [ProviderName] { byProvider.keys.sorted() }
}
