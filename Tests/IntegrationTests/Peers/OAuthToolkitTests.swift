import CurlClient
import PerennialServers
import Sealing
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Against an OAuth 2.0 server that nobody of Perennial wrote.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct OAuthToolkitTests {
    private static let accounts = 50
    /// Of access tokens, in seconds. They are replaced at half their life: about ten rotations of each account.
    private static let lifetime = 30
    private static let duration = Duration.seconds(150)

    /// Three instances with readers, and with refusals reported at all three at once, for some minutes.
    @Test func noFamilyIsRevoked() async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            // One more, with which the test shows that the server does notice reuse.
            let toolkit = try await OAuthToolkit.start(
                workshop, accounts: Self.accounts + 1, lifetime: Self.lifetime)
            let redis = try await workshop.startRedis()
            let configuration = try configuration(workshop, redis: redis.url, toolkit)
            let lines = toolkit.accounts.prefix(Self.accounts).map {
                #"{"id":"\#($0.id)","provider":"toolkit","refresh_token":"\#($0.refreshToken)"}"# + "\n"
            }
            try await PerennialInstance.importAccounts(
                workshop, configuration: configuration, lines: Array(lines.joined().utf8))
            var instances: [PerennialInstance] = []
            for number in 1...3 {
                instances.append(
                    try await PerennialInstance.start(workshop, configuration: configuration, number: number))
            }

            let readers = Readers(origins: instances.map(\.origin), accounts: toolkit.accounts.map(\.id))
            let tally = try await readers.run(
                for: Self.duration, accounts: Self.accounts, http: workshop.http)
            #expect(tally.tokens > 500, "so many reads got a token")
            #expect(tally.expired == 0)
            #expect(tally.failures < tally.tokens / 100, "\(tally)")

            for instance in instances { await instance.process.stop() }
            let report = try await toolkit.report()
            #expect(report.families == Self.accounts + 1)
            #expect(report.lost == [])
            #expect(report.liveTokens == Self.accounts + 1)
            // Each account at the least once in a lifetime.
            let rotations = report.issued - report.families
            #expect(rotations > Self.accounts * Int(Self.duration.components.seconds) / Self.lifetime)

            let reused = try #require(toolkit.accounts.last)
            #expect(try await toolkit.spend(reused.refreshToken) == 200)
            #expect(try await toolkit.spend(reused.refreshToken) == 400)
            #expect(try await toolkit.report().lost == [reused.family], "the server does notice reuse")
        }
    }

    private func configuration(_ workshop: Workshop, redis: String, _ toolkit: OAuthToolkit) throws -> String {
        let key = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
        let yaml = """
            redis: { url: "\(redis)" }
            sealing: { key_file: "\(key)" }
            lease: { ttl: 2s }
            providers:
              toolkit:
                preset: oauth2
                token_url: "\(toolkit.tokenURL)"
                client_id: \(OAuthToolkit.client.id)
                client_secret: \(OAuthToolkit.client.secret)
                rotation: single_use

            """
        let file = workshop.path("perennial.yaml")
        try TextFile.write(yaml, to: file)
        return file
    }
}

/// Callers of three instances, some of whom say at all three at once that a token was refused.
private struct Readers {
    struct Tally: Sendable {
        var tokens = 0
        /// Tokens that were handed out after their end.
        var expired = 0
        var failures = 0
    }

    private struct Token: Decodable {
        var expiresAt: String

        private enum CodingKeys: String, CodingKey { case expiresAt = "expires_at" }

        var end: Date {
            get throws {
                let style = Date.ISO8601FormatStyle(includingFractionalSeconds: expiresAt.contains("."))
                return try Date(expiresAt, strategy: style)
            }
        }
    }

    let origins: [String]
    let accounts: [String]

    func run(for duration: Duration, accounts count: Int, http: CurlClient) async throws -> Tally {
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: Tally.self) { group in
            for reader in 0..<6 {
                group.addTask {
                    var tally = Tally()
                    var turn = reader
                    while ContinuousClock.now < end {
                        turn += 1
                        let id = accounts[(turn * 7 + reader) % count]
                        if turn % 20 == 0 {
                            await refuse(id, http, &tally)
                        } else {
                            try await read(id, at: origins[turn % origins.count], http, &tally)
                        }
                        try await Task.sleep(for: .milliseconds(150))
                    }
                    return tally
                }
            }
            return try await group.reduce(into: Tally()) { total, part in
                total.tokens += part.tokens
                total.expired += part.expired
                total.failures += part.failures
            }
        }
    }

    private func read(_ id: String, at origin: String, _ http: CurlClient, _ tally: inout Tally) async throws {
        let before = Date.now
        let request = CurlRequest(url: "\(origin)/v1/accounts/\(id)/token", totalTimeout: .seconds(60))
        guard let answer = try? await http.execute(request), answer.status == 200 else {
            tally.failures += 1
            return
        }
        tally.tokens += 1
        let token = try JSONDecoder().decode(Token.self, from: Data(answer.body))
        if try token.end < before { tally.expired += 1 }
    }

    /// All instances are told at once to replace the newest token.
    private func refuse(_ id: String, _ http: CurlClient, _ tally: inout Tally) async {
        let statuses = await withTaskGroup(of: Int?.self) { group in
            for origin in origins {
                let request = CurlRequest(
                    method: "POST", url: "\(origin)/v1/accounts/\(id)/refresh",
                    headers: [("Content-Type", "application/json")], body: Array("{}".utf8),
                    totalTimeout: .seconds(60))
                group.addTask { try? await http.execute(request).status }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        tally.failures += statuses.filter { $0 != 200 }.count
    }
}
