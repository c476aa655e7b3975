import MockProvider
import Perennial
import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import ServiceLifecycle
import Testing

/// What a fleet promises, on a real Redis with real HTTP to the provider.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FleetTests {
    @Test func fifteenHundredReadersOfAnExpiredAccountMakeOneCall() async throws {
        try await Fleet.run { fleet in
            let ids = try await fleet.add(1, lifetime: .seconds(-10))
            let tokens = try await withThrowingTaskGroup(of: Secret.self) { group in
                for instance in fleet.instances {
                    for _ in 0..<500 {
                        group.addTask { try await instance.reader.token(TokenRequest(account: ids[0])).accessToken }
                    }
                }
                return try await group.reduce(into: Set<Secret>()) { $0.insert($1) }
            }
            #expect(tokens.count == 1)
            #expect(fleet.mock.totals().refreshes == 1)
            #expect(fleet.mock.totals().duplicateSpends == 0)
        }
    }

    @Test func aThousandRefusalsOfOneGenerationMakeOneRefresh() async throws {
        try await Fleet.run { fleet in
            let ids = try await fleet.add(1)
            let generations = try await withThrowingTaskGroup(of: Generation.self) { group in
                for number in 0..<1000 {
                    let reader = fleet.instances[number % 3].reader
                    group.addTask {
                        try await reader.token(TokenRequest(account: ids[0], refused: Generation(1))).snapshot
                            .generation
                    }
                }
                return try await group.reduce(into: Set<Generation>()) { $0.insert($1) }
            }
            #expect(generations == [Generation(2)])
            #expect(fleet.mock.totals().refreshes == 1)
        }
    }

    @Test func warmReadsCostNoRedisCommand() async throws {
        try await Fleet.run { fleet in
            let ids = try await fleet.add(1)
            let instance = fleet.instances[0]
            // The message about the new account may still be on its way: then one more read goes to Redis.
            try await eventually("a thousand reads cost no command") {
                let before = instance.link.client.commandCounts
                var sources: Set<TokenAnswer.Source> = []
                for _ in 0..<1000 {
                    sources.insert(try await instance.reader.token(TokenRequest(account: ids[0])).source)
                }
                let after = instance.link.client.commandCounts
                return sources == [.memory] && after["HMGET"] == before["HMGET"]
                    && after["EVALSHA"] == before["EVALSHA"]
            }
        }
    }

    /// I5: valid tokens are served while Redis is away, expired ones never; nothing is spent meanwhile.
    @Test func whileRedisIsAwayValidTokensAreServedAndNothingIsSpent() async throws {
        try await Fleet.run(.init(instances: 1)) { fleet in
            let valid = try await fleet.add(1)
            let reader = fleet.instances[0].reader
            try await eventually("the account is remembered") {
                try await reader.token(TokenRequest(account: valid[0])).source == .memory
            }
            await fleet.redis.kill()
            try await eventually("the loss of Redis is noticed") { fleet.instances[0].storeObstacle != nil }
            let answer = try await reader.token(TokenRequest(account: valid[0]))
            #expect(answer.snapshot.generation == Generation(1))
            let failure = await #expect(throws: RefreshFailure.self) {
                _ = try await reader.token(TokenRequest(account: valid[0], refused: Generation(1)))
            }
            #expect(failure?.code == .storeUnavailable)
            #expect(fleet.mock.totals().tokenRequests == 0)
            try await fleet.redis.restart()
            try await eventually("Redis is back") { fleet.instances[0].storeObstacle == nil }
        }
    }

    @Test func aDeadAccountIsAskedForOnceAndLivesAgainWithNewCredentials() async throws {
        try await Fleet.run { fleet in
            let ids = try await fleet.add(1, lifetime: .seconds(-10))
            _ = fleet.mock.revoke(account: ids[0].rawValue)
            for instance in fleet.instances {
                for _ in 0..<20 {
                    let failure = await #expect(throws: RefreshFailure.self) {
                        _ = try await instance.reader.token(TokenRequest(account: ids[0]))
                    }
                    #expect(failure?.code == .reauthRequired)
                }
            }
            #expect(fleet.mock.totals().tokenRequests == 1)
            _ = try await fleet.add(1, lifetime: .seconds(3600))
            for instance in fleet.instances {
                try await eventually("the new credentials are seen") {
                    (try? await instance.reader.token(TokenRequest(account: ids[0])))?.snapshot.generation
                        == Generation(2)
                }
            }
        }
    }

    @Test(arguments: ["throttle:30s@x1", "error-before:500@x1", "invalid-client@x1"])
    func faultsThatAreNotTheAccountsDoNotKillIt(fault: String) async throws {
        try await Fleet.run(.init(instances: 2, faults: [fault], provider: ["rotation: reusable"])) { fleet in
            let ids = try await fleet.add(1, lifetime: .seconds(-10))
            _ = try? await fleet.instances[0].reader.token(TokenRequest(account: ids[0]))
            let account = try await fleet.instances[1].directory.read(ids[0])
            #expect(account?.status != .reauthRequired)
            #expect(account?.lastFault != nil)
            #expect(fleet.mock.totals().tokenRequests == 1)
        }
    }

    /// The answer is lost after the provider has rotated; within its grace the one re-send brings the same pair again.
    @Test func aLostAnswerIsRecoveredWithinTheGrace() async throws {
        let setup = Fleet.Setup(
            instances: 2, rotation: .grace(.seconds(120)), faults: ["drop-after@x1"],
            provider: ["rotation: { grace: 120s }"])
        try await Fleet.run(setup) { fleet in
            let ids = try await fleet.add(1, lifetime: .seconds(-10))
            try await eventually("the account is recovered") {
                (try? await fleet.instances[1].reader.token(TokenRequest(account: ids[0])))?.snapshot.generation
                    == Generation(2)
            }
            let totals = fleet.mock.totals()
            #expect(totals.graceReplays == 1)
            #expect(totals.duplicateSpends == 0)
            #expect(totals.familiesRevoked == 0)
        }
    }

    @Test func aFollowerTakesOverFromALeaderThatStops() async throws {
        try await Fleet.run(.init(refresh: "{ proactive: true }", leaseTTL: "60s")) { fleet in
            try await eventually("there is a leader") { fleet.instances.contains { $0.leadership?.isLeader == true } }
            let old = try #require(fleet.instances.firstIndex { $0.leadership?.isLeader == true })
            let stopped = ContinuousClock.now
            await fleet.groups[old].triggerGracefulShutdown()
            try await eventually("a follower has taken over") {
                fleet.instances.indices.contains { $0 != old && fleet.instances[$0].leadership?.isLeader == true }
            }
            // Early release, not the end of the lease.
            #expect(ContinuousClock.now - stopped < .seconds(30))
        }
    }

    @Test func theLeaderRefreshesAheadOfExpirySoThatNoReadWaits() async throws {
        let setup = Fleet.Setup(
            lifetime: .seconds(60), latency: .milliseconds(5), provider: ["rotation: single_use", "window: 5m"],
            refresh: "{ proactive: true }", leaseTTL: "60s")
        try await Fleet.run(setup) { fleet in
            // Due when half of that is over; held back from callers nine seconds later.
            let ids = try await fleet.add(20, lifetime: .seconds(30))
            let deadline = ContinuousClock.now + .seconds(60)
            var newest: [AccountID: Generation] = [:]
            while newest.count < 20 || newest.values.contains(Generation(1)), ContinuousClock.now < deadline {
                for (index, id) in ids.enumerated() {
                    let instance = fleet.instances[index % 3]
                    let before = instance.time.wall()
                    let answer = try await instance.reader.token(TokenRequest(account: id))
                    #expect(answer.expiresAt > before)
                    #expect(answer.source != .refresh)
                    newest[id] = answer.snapshot.generation
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(newest.values.allSatisfy { $0 > Generation(1) })
            #expect(fleet.mock.totals().refreshes >= 20)
            #expect(fleet.mock.totals().duplicateSpends == 0)
        }
    }
}
