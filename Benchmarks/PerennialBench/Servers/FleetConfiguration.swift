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

    /// Writes it, with a sealing key beside it.
    ///
    /// - Returns: its path.
    func write(in workshop: Workshop) throws -> String {
        let keyFile = workshop.path("sealing.key")
        if TextFile.read(keyFile) == nil {
            try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: keyFile)
        }
        var lines = [
            "redis: { url: \"\(redisURL)\" }",
            "sealing: { key_file: \"\(keyFile)\" }",
            "refresh: { proactive: \(isProactive) }",
            "providers:",
            "  \(MockProcess.provider):",
            "    preset: oauth2",
            "    token_url: \"\(tokenURL)\"",
            "    client_id: bench",
            "    rotation: single_use",
            "    max_concurrent: \(concurrency)",
        ]
        if let keysFile { lines.append("auth: { keys_file: \"\(keysFile)\" }") }
        let path = workshop.path("perennial.yaml")
        try TextFile.write(lines.joined(separator: "\n") + "\n", to: path)
        return path
    }
}
