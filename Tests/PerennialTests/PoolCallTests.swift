import MockProvider
import Perennial
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Calls to a pool on a real redis-server: the right account is blamed, and the next one is taken.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct PoolCallTests {
    /// Two accounts, the first of which is taken first.
    private func withPool(_ body: @Sendable (PerennialClient, ClientSite, [String]) async throws -> Void) async throws {
        try await ClientSite.run { site in
            var configuration = site.configuration
            configuration.pools["warp"] = ["tiers": ["anonymous", "personal"]]
            let client = try await Perennial.connect(configuration, logger: ClientSite.quiet)
            let result: Result<Void, any Error>
            do {
                var names: [String] = []
                for tier in ["anonymous", "personal"] {
                    let account = try #require(site.mock.seedAccounts(count: 1, prefix: tier).first)
                    try await client.addAccount(
                        account.id, provider: "mock", refreshToken: account.refreshToken,
                        accessToken: account.accessToken, expiresAt: Date(timeIntervalSinceNow: 3600), pool: "warp",
                        tier: tier)
                    names.append(account.id)
                }
                result = .success(try await body(client, site, names))
            } catch {
                result = .failure(error)
            }
            await client.shutdown()
            try result.get()
        }
    }

    @Test func aUsedUpQuotaIsFollowedByTheNextAccount() async throws {
        try await withPool { client, site, names in
            var asked: [String?] = []
            let status = try await client.withToken(pool: "warp") { token in
                asked.append(token.account)
                #expect(token.pool == "warp")
                if token.account == names[0] { throw QuotaExhausted(retryAfter: .seconds(600)) }
                return try await site.call(token)
            }
            #expect(status == 200)
            #expect(asked == names)
            // Not again until its time is over.
            let next = try await client.withToken(pool: "warp") { $0.account }
            #expect(next == names[1])

            let spent = await #expect(throws: PerennialError.self) {
                try await client.withToken(pool: "warp") { _ in throw QuotaExhausted(retryAfter: .seconds(900)) }
            }
            #expect(spent?.code == .poolExhausted)
            #expect(spent?.pool == "warp")
            #expect(spent?.underlying is QuotaExhausted)
            let wait = try #require(spent?.retryAfter)
            #expect(wait > .seconds(500) && wait <= .seconds(605), "up to 5 s are added")
        }
    }

    @Test func aRefusedTokenIsReplacedBeforeAnotherAccountIsTaken() async throws {
        try await withPool { client, site, names in
            var asked: [String] = []
            let status = try await client.withToken(pool: "warp") { token in
                asked.append("\(token.account ?? "") \(token.generation ?? 0)")
                if token.generation == 1 { throw TokenRefused() }
                return try await site.call(token)
            }
            #expect(status == 200)
            #expect(asked == ["\(names[0]) 1", "\(names[0]) 2"])
            #expect(site.mock.totals().refreshes == 1)
        }
    }

    /// One refresh for each account that is refused, and no third token for it.
    @Test func anAccountThatIsRefusedTwiceIsLeftOut() async throws {
        try await withPool { client, site, names in
            var asked: [String] = []
            await #expect(throws: TokenRefused.self) {
                try await client.withToken(pool: "warp") { token in
                    asked.append("\(token.account ?? "") \(token.generation ?? 0)")
                    throw TokenRefused()
                }
            }
            #expect(asked == ["\(names[0]) 1", "\(names[0]) 2", "\(names[1]) 1", "\(names[1]) 2"])
            #expect(site.mock.totals().refreshes == 2)
        }
    }

    /// Who leaves while an account is being found for it leaves no slot taken.
    @Test func aCancelledPickReleasesItsLease() async throws {
        try await ClientSite.run(latency: .seconds(12)) { site in
            var configuration = site.configuration
            configuration.pools["warp"] = ["max_concurrent": 1]
            let client = try await Perennial.connect(configuration, logger: ClientSite.quiet)
            let result: Result<Void, any Error>
            do {
                let account = try #require(site.mock.seedAccounts(count: 1, prefix: "only").first)
                // Without a token: a pick has to wait for a refresh.
                try await client.addAccount(
                    account.id, provider: "mock", refreshToken: account.refreshToken, pool: "warp")
                let impatient = Task { try await client.withToken(pool: "warp") { $0.account } }
                try await eventually("a token is asked for") { site.mock.totals().tokenRequests == 1 }
                impatient.cancel()
                await #expect(throws: CancellationError.self) { try await impatient.value }
                try await eventually("the slot is free again") {
                    (try? await client.withToken(pool: "warp") { $0.account }) == account.id
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await client.shutdown()
            try result.get()
        }
    }

    @Test func anUnknownPoolIsSaid() async throws {
        try await withPool { client, _, _ in
            let error = await #expect(throws: PerennialError.self) {
                try await client.withToken(pool: "other") { _ in }
            }
            #expect(error?.code == .poolNotFound)
            #expect(error?.remedy == .changeSetup)
        }
    }
}
