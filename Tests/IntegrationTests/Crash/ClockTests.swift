import MockProvider
import PerennialServers
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Wall clocks that are an hour off.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ClockTests {
    @Test(arguments: [3600, -3600])
    func anInstanceWithAWrongClockServesGoodTokensAndRefreshesInTime(_ seconds: Int) async throws {
        try await CrashSite.run(.init(life: "4s", turned: [1])) { site in
            try site.instanceClock?.turn(by: seconds)
            let (account, first) = try await freshAccount(site)
            #expect(first.generation == 1)
            let requests = try await site.mock.totals().tokenRequests
            // Past the end of the first token: an instance that went by its own clock would serve it on and on.
            try await Task.sleep(for: .seconds(5))
            let before = Date.now
            let answer = await site.read(account)
            let end = try #require(answer.expiresAt)
            #expect(end > before)
            #expect(answer.generation == 2)
            #expect(try await site.mock.totals().tokenRequests == requests + 1)
        }
    }

    @Test(arguments: [3600, -3600])
    func aRedisWhoseClockJumpsMakesNobodyServeExpiredTokens(_ seconds: Int) async throws {
        try await CrashSite.run(.init(life: "6s", turnsRedis: true)) { site in
            let account = try await site.add()
            #expect(await site.read(account).token != nil)
            try site.redisClock?.turn(by: seconds)
            try await expectOnlyGoodTokens(site, account)
            // Back again: what was stored meanwhile has an expiry by the wrong clock.
            try site.redisClock?.turn(by: 0)
            try await expectOnlyGoodTokens(site, account)
            try await eventually("the account has a good token") {
                let before = Date.now
                return await site.read(account).expiresAt.map { $0 > before } ?? false
            }
            let totals = try await site.mock.totals()
            #expect(totals.duplicateSpends == 0)
            #expect(totals.maxUsesOfOneToken == 1)
        }
    }

    /// For longer than a token lives.
    private func expectOnlyGoodTokens(_ site: CrashSite, _ account: String) async throws {
        for _ in 0..<35 {
            let before = Date.now
            let answer = await site.read(account)
            if answer.token != nil {
                let end = try #require(answer.expiresAt)
                #expect(end > before)
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// An account and what was served of it well before the end of its first token.
    private func freshAccount(_ site: CrashSite) async throws -> (id: String, first: CrashSite.Answer) {
        while true {
            let start = ContinuousClock.now
            let account = try await site.add()
            let first = await site.read(account)
            if ContinuousClock.now - start < .seconds(2) { return (account, first) }
        }
    }
}
