import ConfigurationFile
import PerennialConfiguration

extension PerennialClient {
    /// What an instance is told before it starts: what stands in the configuration file, given in code.
    ///
    /// ```swift
    /// var configuration = PerennialClient.Configuration(redisURL: "redis://127.0.0.1:6379", sealingKey: key)
    /// configuration.providers["acme"] = [
    ///     "preset": "oauth2", "token_url": "https://id.example.com/oauth2/token",
    ///     "client_id": "backend", "client_secret": "\(secret)", "rotation": "single_use",
    /// ]
    /// ```
    public struct Configuration: Sendable {
        /// Where journal and embedded Redis are kept. Nil: `$XDG_STATE_HOME/perennial`, else `~/.local/state/perennial`.
        public var stateDirectory: String?
        /// Nil: the instance runs a redis-server of its own, on a socket in the state directory.
        public var redisURL: String?
        /// 32 bytes in base64 that seal the tokens in Redis; needed with a ``redisURL``, and the same for all instances.
        public var sealingKey: String?
        /// The sections of `providers` in the configuration file, by name.
        public var providers: [String: Setting] = [:]
        /// The sections of `pools`, by name.
        public var pools: [String: Setting] = [:]
        /// Any other key of the configuration file, by its name at the top: `["refresh": ["proactive": false]]`.
        public var more: [String: Setting] = [:]

        public init(stateDirectory: String? = nil, redisURL: String? = nil, sealingKey: String? = nil) {
            self.stateDirectory = stateDirectory
            self.redisURL = redisURL
            self.sealingKey = sealingKey
        }
    }
}

extension PerennialClient.Configuration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// What is set, never to what.
    public var description: String {
        let names = ["providers": providers, "pools": pools, "more": more].sorted { $0.key < $1.key }
            .map { "\($0.key): \($0.value.keys.sorted().joined(separator: ", "))" }
        return (["redis: \(redisURL == nil ? "embedded" : "set")"] + names).joined(separator: "; ")
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension PerennialClient.Configuration {
    /// Read and checked like a file, so that code and file can say the same and are told the same.
    ///
    /// - Throws: `ConfigurationError`, each issue with its key; lines mean nothing here.
    func checked() throws(ConfigurationError) -> PerennialConfiguration {
        var top: [(name: String, value: Setting)] = []
        if let stateDirectory { top.append(("state_dir", Setting(stateDirectory))) }
        if let redisURL { top.append(("redis", ["url": Setting(redisURL)])) }
        if !providers.isEmpty { top.append(("providers", Setting(providers))) }
        if !pools.isEmpty { top.append(("pools", Setting(pools))) }
        for (name, value) in more.sorted(by: { $0.key < $1.key }) { top.append((name, value)) }
        let text = top.map { "\(Setting([$0.name: $0.value]).text.dropFirst().dropLast())\n" }.joined()

        var environment = Host.environment.filter { ["HOME", "XDG_STATE_HOME"].contains($0.key) }
        environment["PERENNIAL_SEALING_KEY"] = sealingKey
        do {
            return try PerennialConfiguration.parse(text, environment: environment)
        } catch {
            throw ConfigurationError(
                error.issues.map { issue in
                    guard case .file = issue.origin else { return issue }
                    return ConfigurationIssue(issue.code, at: .none, key: issue.key, issue.message)
                })
        }
    }
}
