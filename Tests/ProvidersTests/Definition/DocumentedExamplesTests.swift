import Crypto
import CryptoExtras
import FoundationEssentials
import Providers
import Testing

/// The examples of docs/providers.md are accepted as they stand, but for the paths of their secrets.
struct DocumentedExamplesTests {
    @Test func theyAreAccepted() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/providers.md")
        let text = String(decoding: try Data(contentsOf: page), as: UTF8.self)
        let directory = "/tmp/perennial-docs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048).pemRepresentation
        for (name, secret) in [("shop", "s"), ("odd-salt", "s"), ("robot.pem", key)] {
            try Data(secret.utf8).write(to: URL(filePath: "\(directory)/\(name)"))
        }
        var examples: [String] = []
        var current: [Substring]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```yaml" {
                current = []
            } else if line == "```", let lines = current {
                examples.append(lines.joined(separator: "\n"))
                current = nil
            } else {
                current?.append(line)
            }
        }
        #expect(examples.count >= 3)
        for example in examples {
            #expect(example.hasPrefix("providers:"))
            #expect(providerIssues(example.replacing("/run/secrets", with: directory)) == [])
        }
    }
}
