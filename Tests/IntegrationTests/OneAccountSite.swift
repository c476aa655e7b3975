import PerennialServers
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One account of a pool, at the mock provider, in a Redis of its own.
struct OneAccountSite: Sendable {
    let workshop: Workshop
    let mock: MockProcess
    let alice: MockAccountLine
    /// The path of the configuration file.
    let configuration: String
    private let yaml: String

    /// - Parameter isDead: the access token was revoked, and nobody but the provider knows.
    static func run(isDead: Bool = false, _ body: @Sendable (OneAccountSite) async throws -> Void) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            let mock = try await MockProcess.start(workshop, latency: "10ms")
            let redis = try await workshop.startRedis()
            let key = workshop.path("sealing.key")
            try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
            let yaml = """
                redis: { url: "\(redis.url)" }
                sealing: { key_file: "\(key)" }
                refresh: { proactive: false }
                pools: { warp: {} }
                providers:
                  mock:
                    preset: oauth2
                    token_url: "\(mock.tokenURL)"
                    client_id: test
                    client_auth: none
                    rotation: single_use
                    send_by: 15s
                    connect_timeout: 15s
                    exchange_deadline: 30s
                    lock_ttl: 46s

                """
            let file = workshop.path("perennial.yaml")
            try TextFile.write(yaml, to: file)
            var alice = try await mock.seedOne("alice", isExpired: false)
            if isDead { alice.accessToken = "revoked-long-ago" }
            let line =
                #"{"id":"\#(alice.id)","provider":"mock","pool":"warp","refresh_token":"\#(alice.refreshToken)","#
                + #""access_token":"\#(alice.accessToken ?? "")","expires_at":\#(alice.expiresAt ?? 0)}"#
            try await PerennialInstance.importAccounts(workshop, configuration: file, lines: Array("\(line)\n".utf8))
            try await body(
                OneAccountSite(workshop: workshop, mock: mock, alice: alice, configuration: file, yaml: yaml))
        }
    }

    /// A caller's key with the scope `read`, and the configuration that knows it.
    func withKey() async throws -> (key: String, configuration: String) {
        let keys = workshop.path("keys.json")
        let output = try await workshop.run(
            "keys", workshop.perennial, ["keys", "create", "--name", "caller", "--scope", "read", "--file", keys],
            timeout: .seconds(30))
        guard let key = output.split(separator: "\n").first(where: { $0.hasPrefix("prn_") }) else {
            throw ServerFailure("keys create has printed no key")
        }
        return (String(key), try configuration(adding: "auth: { keys_file: \"\(keys)\" }"))
    }

    /// Another file with a line more.
    func configuration(adding line: String) throws -> String {
        let file = workshop.path("perennial-more.yaml")
        try TextFile.write("\(yaml)\(line)\n", to: file)
        return file
    }
}
