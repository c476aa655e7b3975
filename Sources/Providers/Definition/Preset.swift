import ConfigurationFile

/// A provider description that ships with Perennial: the same keys as in the configuration, which override it one by
/// one, and the list of those that it cannot know.
struct Preset {
    let name: String
    let fields: ProviderFields
    /// What the configuration has to give, each with how.
    let requires: [Requirement]

    struct Requirement: Sendable, Hashable {
        /// Keys joined by dots.
        var key: String
        /// A sentence that says what to write.
        var advice: String
    }

    static let names = [
        "oauth2", "client_credentials", "jwt_bearer", "claude", "gemini", "openai", "pixiv", "warp", "intranet",
    ]
    static let standard = "oauth2"

    /// The YAML of a preset; nil when there is none of that name.
    static func bytes(_ name: String) -> [UInt8]? {
        switch name {
        case "oauth2": PackageResources.oauth2_yaml
        case "client_credentials": PackageResources.client_credentials_yaml
        case "jwt_bearer": PackageResources.jwt_bearer_yaml
        case "claude": PackageResources.claude_yaml
        case "gemini": PackageResources.gemini_yaml
        case "openai": PackageResources.openai_yaml
        case "pixiv": PackageResources.pixiv_yaml
        case "warp": PackageResources.warp_yaml
        case "intranet": PackageResources.intranet_yaml
        default: nil
        }
    }

    /// Nil when there is no such preset.
    ///
    /// - Throws: ``ConfigurationError`` when the embedded text is malformed, which is a mistake in this program.
    static func load(_ name: String) throws(ConfigurationError) -> Preset? {
        guard let bytes = bytes(name) else { return nil }
        let issues = ConfigurationIssues()
        let document = try ConfigurationDocument(bytes, file: "preset \(name)")
        // A preset has the same meaning everywhere: it takes nothing from the environment.
        let preset = document.read(environment: nil, issues: issues) { section in
            Preset(
                name: name, fields: ProviderFields(reading: section),
                requires: (section.texts("requires") ?? []).map { Requirement(key: $0.name, advice: $0.value) })
        }
        try issues.throwIfAny()
        return preset
    }
}
