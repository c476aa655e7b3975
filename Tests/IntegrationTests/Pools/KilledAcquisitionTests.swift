import MockProvider
import PerennialServers
import RedisStore
import RefreshCore
import Testing

/// SIGKILL between the steps of a chain.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct KilledAcquisitionTests {
    private static let pool = try! PoolName("warp")

    /// Two steps, of which the second spends and rotates what the first has brought.
    private static let setup = CrashSite.Setup(
        rotation: ("grace:60s", "{ grace: 60s }"), isProactive: true,
        more: { port in WarpSection.yaml(["step_timeout: 20s"], port: port, refreshes: true) },
        // What the second step brings waits until a test lets it pass.
        before: { site in site.providerWires[0].holdReplies(after: "/oauth2/token") })

    /// What Redis holds of the only account; nil where there is none.
    private func account(_ site: CrashSite) async throws -> String? {
        let id = try await site.redis.ask("hkeys", Keys().pooled(0))
        return id.isEmpty ? nil : id
    }

    private func folder(_ site: CrashSite) -> String { site.instances[0].directory + "/acquired" }

    private func restart(_ site: CrashSite) async throws {
        await site.instances[0].kill()
        #expect(try FileNames.list(folder(site)).count == 1)
        site.redisWires[0].cut()
        site.redisWires[0].set(.init())
        site.providerWires[0].cut()
        site.providerWires[0].set(.init())
        // The pool is free again after 70 s; nobody waits for that here.
        _ = try await site.redis.ask("del", Keys().acquisition(Self.pool))
        try await site.instances[0].start()
        try await site.waitUntilReady(site.instances[0])
    }

    /// One account, made once, whose token is the live one.
    private func expectTheAccount(_ site: CrashSite) async throws {
        try await eventually("the account is stored", within: .seconds(60)) { try await account(site) != nil }
        let id = try #require(try await account(site))
        try await eventually("it has a good token", within: .seconds(30)) {
            await site.isTaken(await site.read(id).token)
        }
        let totals = try await site.mock.totals()
        #expect(totals.accounts == 1)
        #expect(totals.familiesRevoked == 0)
        try await eventually("nothing is left on disk", within: .seconds(60)) {
            try FileNames.list(folder(site)).isEmpty
        }
    }

    @Test func duringALaterStepTheRunGoesOnBehindItsLastAnswer() async throws {
        try await CrashSite.run(Self.setup) { site in
            try await site.waitForRotations(1)
            #expect(try await account(site) == nil)
            try await restart(site)
            try await expectTheAccount(site)
            #expect(site.instances[0].log.contains("going on with an acquisition"))
        }
    }

    @Test func whileTheAccountIsStoredItIsStoredOnceMore() async throws {
        try await CrashSite.run(Self.setup) { site in
            try await site.waitForRotations(1)
            site.redisWires[0].holdReplies(after: "account:anonymous-")
            site.providerWires[0].set(.init())
            try await eventually("the account is on its way") {
                let names = (try? FileNames.list(folder(site))) ?? []
                return names.count == 1 && site.redisWires[0].weather.holdsReplies
            }
            try await restart(site)
            try await expectTheAccount(site)
        }
    }
}
