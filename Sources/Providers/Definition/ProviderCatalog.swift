public import ConfigurationFile
public import RefreshCore

/// The providers that this instance knows.
public struct ProviderCatalog: PolicySource, Hashable {
    private let byName: [ProviderName: ProviderDefinition]
    private let policies: [ProviderName: RefreshPolicy]

    /// Of several definitions with the same name the last one counts.
    public init(_ definitions: [ProviderDefinition] = []) {
        byName = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        policies = byName.mapValues(\.refreshPolicy)
    }

    public subscript(_ name: ProviderName) -> ProviderDefinition? { byName[name] }

    /// In the order of their names.
    public var definitions: [ProviderDefinition] { byName.values.sorted { $0.name < $1.name } }

    public func policy(for provider: ProviderName) -> RefreshPolicy? { policies[provider] }

    public var providers: [ProviderName] { byName.keys.sorted() }

    /// Reads the section `providers`: a mapping of names to what ``ProviderDefinition/read(_:defaultWindow:)`` takes.
    public static func read(_ section: ConfigurationSection, defaultWindow: Duration) -> ProviderCatalog {
        ProviderCatalog(
            section.keys.compactMap { name in
                section.section(name) { ProviderDefinition.read($0, defaultWindow: defaultWindow) } ?? nil
            })
    }
}
