import ConfigurationFile

/// A provider description that ships with Perennial: the same keys as in the configuration, which override it one by
/// one, and the list of those that it cannot know.
struct Preset {
    let name: String
    let fields: ProviderFields
    /// Keys that the configuration has to give.
    let requires: [String]

    static let names = ["oauth2", "claude", "gemini"]
    static let standard = "oauth2"

    /// Nil when there is no such preset.
    ///
    /// - Throws: ``ConfigurationError`` when the embedded text is malformed, which is a mistake in this program.
    static func load(_ name: String) throws(ConfigurationError) -> Preset? {
        let bytes: [UInt8]
        switch name {
        case "oauth2": bytes = PackageResources.oauth2_yaml
        case "claude": bytes = PackageResources.claude_yaml
        case "gemini": bytes = PackageResources.gemini_yaml
        default: return nil
        }
        let issues = ConfigurationIssues()
        let document = try ConfigurationDocument(bytes, file: "preset \(name)")
        // A preset has the same meaning everywhere: it takes nothing from the environment.
        let preset = document.read(environment: nil, issues: issues) { section in
            Preset(name: name, fields: ProviderFields(reading: section), requires: section.strings("requires") ?? [])
        }
        try issues.throwIfAny()
        return preset
    }
}
