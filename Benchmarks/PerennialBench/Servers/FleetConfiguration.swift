import PerennialServers
import Sealing

/// The perennial.yaml of a measurement.
struct FleetConfiguration: Sendable {
    var redisURL: String
    var tokenURL: String
    var isProactive: Bool
    /// Exchanges under way at once with the provider.
    var concurrency = 16
    var keysFile: String?
    /// Further settings, each `key: value`, of the sections `redis`, `refresh` and `lease` and of the provider.
    var redis: [String] = []
    var refresh: [String] = []
    var lease: [String] = []
    var provider: [String] = []
    /// Routes of the gateway by name, each as `key: value`.
    var routes: [String: [String]] = [:]

    /// Writes it, with a sealing key beside it.
    ///
    /// - Returns: its path.
    func write(in workshop: Workshop) throws -> String {
        let keyFile = workshop.path("sealing.key")
        if TextFile.read(keyFile) == nil {
            try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: keyFile)
        }
        var lines = [
            "redis: { \((["url: \"\(redisURL)\""] + redis).joined(separator: ", ")) }",
            "sealing: { key_file: \"\(keyFile)\" }",
            "refresh: { \((["proactive: \(isProactive)"] + refresh).joined(separator: ", ")) }",
            "providers:",
            "  \(MockProcess.provider):",
            "    preset: oauth2",
            "    token_url: \"\(tokenURL)\"",
            "    client_id: bench",
            "    rotation: single_use",
            "    max_concurrent: \(concurrency)",
        ]
        lines += provider.map { "    \($0)" }
        if !lease.isEmpty { lines.append("lease: { \(lease.joined(separator: ", ")) }") }
        if !routes.isEmpty {
            lines.append("routes:")
            for (name, keys) in routes.sorted(by: { $0.key < $1.key }) {
                lines.append("  \(name): { \(keys.joined(separator: ", ")) }")
            }
        }
        if let keysFile { lines.append("auth: { keys_file: \"\(keysFile)\" }") }
        let path = workshop.path("perennial.yaml")
        try TextFile.write(lines.joined(separator: "\n") + "\n", to: path)
        return path
    }
}
