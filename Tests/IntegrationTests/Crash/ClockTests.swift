import MockProvider
import PerennialServers
import Testing

/// Wall clocks that are an hour off.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ClockTests {
    @Test(arguments: [3600, -3600])
    func anInstanceWithAWrongClockServesGoodTokensAndRefreshesInTime(_ seconds: Int) async throws {
        try await CrashSite.run(.init(life: "4s", turned: [1])) { site in
            try site.instanceClock?.turn(by: seconds)
            let account = try await site.add()
            #expect(await site.read(account).generation == 1)
            // Past the end of the first token: an instance that went by its own clock would serve it on and on.
            try await Task.sleep(for: .seconds(5))
            let answer = await site.read(account)
            #expect(await site.isTaken(answer.token))
            #expect(answer.generation == 2)
            #expect(try await site.mock.totals().tokenRequests == 1)
        }
    }

    @Test(arguments: [3600, -3600])
    func aRedisWhoseClockJumpsMakesNobodyServeExpiredTokens(_ seconds: Int) async throws {
        try await CrashSite.run(.init(life: "6s", turnsRedis: true)) { site in
            let account = try await site.add()
            #expect(await site.read(account).generation == 1)
            try site.redisClock?.turn(by: seconds)
            try await expectOnlyGoodTokens(site, account)
            // Back again: what was stored meanwhile has an expiry by the wrong clock.
            try site.redisClock?.turn(by: 0)
            try await expectOnlyGoodTokens(site, account)
            try await eventually("the account has a good token") {
                await site.isTaken(await site.read(account).token)
            }
            let totals = try await site.mock.totals()
            #expect(totals.duplicateSpends == 0)
            #expect(totals.maxUsesOfOneToken == 1)
        }
    }

    /// For longer than a token lives.
    private func expectOnlyGoodTokens(_ site: CrashSite, _ account: String) async throws {
        for _ in 0..<35 {
            let answer = await site.read(account)
            if let token = answer.token { #expect(await site.isTaken(token)) }
            try await Task.sleep(for: .milliseconds(250))
        }
    }
}
