import Logging
import MockProvider
import Perennial
import PerennialServers
import RedisStore
import RefreshCore
import Testing

/// Calls that use the accounts of a pool, over three instances on a real Redis and a provider over real HTTP.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PoolRotationTests {
    private static let warp = try! PoolName("warp")
    private static let plain = """
        pools:
          warp: { strategy: fill_first }
          round: { strategy: round_robin }

        """

    /// Puts accounts of the mock provider into the pool.
    private func add(
        _ count: Int, to fleet: Fleet, pool: PoolName = warp, tiers: [String] = []
    ) async throws -> [AccountID] {
        let ids = try await fleet.add(count)
        for (number, id) in ids.enumerated() {
            let tier = try tiers.indices.contains(number) ? TierName(tiers[number]) : nil
            _ = try await fleet.instances[0].directory.edit(
                id, AccountEdit(traits: TraitChanges(pool: .set(pool), tier: tier.map { .set($0) } ?? .keep)))
        }
        return ids
    }

    private func pick(_ fleet: Fleet, _ instance: Int, pool: PoolName = warp) async throws -> PoolPick {
        let desk = try #require(fleet.instances[instance].pools)
        return try #require(try await desk.pick(PoolRequest(pool: pool)).pick)
    }

    private func report(
        _ outcome: PoolReport.Outcome, _ pick: PoolPick, _ fleet: Fleet, _ instance: Int, for length: Duration? = nil
    ) async throws {
        let now = fleet.instances[instance].time.wall()
        try await fleet.instances[instance].pools?.report(
            PoolReport(
                pool: pick.pool, account: pick.account, generation: pick.generation, outcome: outcome,
                until: length.map { now + $0 }, cause: "HTTP 429", lease: pick.lease))
    }

    /// Whether every instance has heard of the cool-down.
    private func allKnow(_ account: AccountID, _ fleet: Fleet, pool: PoolName = warp) async throws {
        try await eventually("all instances have heard of it") {
            fleet.instances.allSatisfy { $0.pools?.cooldown(CooldownKey(account: account), in: pool) != nil }
        }
    }

    @Test func aSpentAccountIsPickedByNobodyBeforeItsCoolDownEnds() async throws {
        try await Fleet.run(.init(top: Self.plain)) { fleet in
            let ids = try await add(2, to: fleet, tiers: ["anonymous", "personal"])
            for instance in 0..<3 {
                try await eventually("the pool is known") { try await pick(fleet, instance).account == ids[0] }
            }
            let spent = try await pick(fleet, 1)
            #expect(spent.account == ids[0] && spent.tier.rawValue == "anonymous")
            try await report(.quota, spent, fleet, 1, for: .seconds(30))
            #expect(try await pick(fleet, 1).account == ids[1], "this one knows at once")
            try await allKnow(ids[0], fleet)
            let end = try #require(
                fleet.instances[1].pools?.cooldown(CooldownKey(account: ids[0]), in: Self.warp)?.until)
            var picks = [0, 0, 0]
            for _ in 0..<300 {
                for instance in 0..<3 {
                    let account = try await pick(fleet, instance).account
                    guard fleet.instances.allSatisfy({ $0.time.wall() < end }) else { continue }
                    #expect(account == ids[1])
                    picks[instance] += 1
                }
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(picks.allSatisfy { $0 > 0 })
            // Before its time, and by itself.
            _ = try await fleet.instances[2].pools?.release(ids[0], in: Self.warp)
            for instance in 0..<3 {
                try await eventually("it is released") { try await pick(fleet, instance).account == ids[0] }
            }
            try await report(.quota, try await pick(fleet, 1), fleet, 1, for: .seconds(1))
            for instance in 0..<3 {
                try await eventually("it is back") { try await pick(fleet, instance).account == ids[0] }
            }
        }
    }

    @Test func underTwoHundredConcurrentCallsTheRightAccountIsBlamed() async throws {
        let round = try PoolName("round")
        try await Fleet.run(.init(top: Self.plain)) { fleet in
            let ids = try await add(4, to: fleet, pool: round)
            let bad = ids[2]
            @Sendable func wave() async throws -> [AccountID] {
                try await withThrowingTaskGroup(of: AccountID.self) { group in
                    for number in 0..<200 {
                        group.addTask {
                            let pick = try await pick(fleet, number % 3, pool: round)
                            try await report(
                                pick.account == bad ? .quota : .ok, pick, fleet, number % 3, for: .seconds(60))
                            return pick.account
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
            }
            #expect(Set(try await wave()).isSuperset(of: Set(ids).subtracting([bad])))
            while fleet.instances[0].pools?.cooldown(CooldownKey(account: bad), in: round) == nil {
                _ = try await wave()
            }
            try await allKnow(bad, fleet, pool: round)
            let second = try await wave()
            #expect(!second.contains(bad))
            #expect(Set(second).count == 3)
            let cooldowns = try await RedisCooldownStore(link: fleet.instances[0].link).cooldowns(of: round).value
            #expect(cooldowns.map(\.key) == [CooldownKey(account: bad)])
            #expect(cooldowns.first?.repeats == 1)
        }
    }

    @Test func aRefusedTokenIsReplacedOnceForTheWholeFleet() async throws {
        try await Fleet.run(.init(top: Self.plain)) { fleet in
            let id = try await add(1, to: fleet)[0]
            let picks = try await [pick(fleet, 0), pick(fleet, 1), pick(fleet, 2)]
            try await withThrowingTaskGroup { group in
                for number in 0..<200 {
                    group.addTask {
                        try await report(.tokenRefused, picks[number % 3], fleet, number % 3)
                        let next = try await pick(fleet, number % 3)
                        #expect(next.account == id && next.generation == picks[0].generation.next)
                        #expect(next.answer.accessToken != picks[0].answer.accessToken)
                    }
                }
                try await group.waitForAll()
            }
            #expect(fleet.mock.ledger().uses.count == 1)
        }
    }

    @Test func anAccountWithoutATokenIsRefreshedBeforeItsFirstCall() async throws {
        try await Fleet.run(.init(top: Self.plain)) { fleet in
            let seed = try #require(fleet.mock.seedAccounts(count: 1, prefix: "bare-").first)
            let put = try fleet.instances[0].intake.admit(
                id: try AccountID(seed.id), provider: Fleet.provider, name: nil,
                credentials: Credentials(refreshToken: Secret(seed.refreshToken)), overwrite: .always,
                traits: TraitChanges(pool: .set(Self.warp)), now: fleet.instances[0].time.wall())
            _ = try await fleet.instances[0].directory.put(put)
            try await withThrowingTaskGroup { group in
                for number in 0..<60 {
                    group.addTask {
                        let pick = try await pick(fleet, number % 3)
                        #expect(!pick.answer.accessToken.isEmpty && pick.generation == Generation(2))
                    }
                }
                try await group.waitForAll()
            }
            #expect(fleet.mock.ledger().uses.count == 1)
        }
    }

    @Test func aSpentPoolGetsANewAccountWhileItsCallersWaitAndSaysWhenThereIsNone() async throws {
        try await Midnight.keepAway()
        // No instance leads: those who need an account get it themselves.
        let setup = Fleet.Setup(more: { WarpSection.yaml(["max_per_day: 1", "min_interval: 1s"], port: $0) })
        try await Fleet.run(setup) { fleet in
            let old = try await add(1, to: fleet)[0]
            let spent = try await pick(fleet, 0)
            #expect(spent.account == old)
            try await report(.quota, spent, fleet, 0, for: .seconds(300))
            try await allKnow(old, fleet)
            let picks: [PoolPick] = try await withThrowingTaskGroup(of: PoolPick.self) { group in
                for number in 0..<60 { group.addTask { try await pick(fleet, number % 3) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let new = try #require(picks.first)
            #expect(new.account.rawValue.hasPrefix("anonymous-"))
            #expect(picks.allSatisfy { $0.account == new.account && !$0.answer.accessToken.isEmpty })
            let members = try await RedisPoolStore(
                link: fleet.instances[0].link, origin: fleet.instances[0].id, logger: Logger(label: "test")
            )
            .members(of: Self.warp)
            #expect(Set(members.map(\.id)) == [old, new.account])

            // One a day.
            try await report(.quota, new, fleet, 2, for: .seconds(120))
            try await allKnow(new.account, fleet)
            for instance in 0..<3 {
                let desk = try #require(fleet.instances[instance].pools)
                do throws(PoolFailure) {
                    _ = try await desk.pick(PoolRequest(pool: Self.warp))
                    Issue.record("an account came from nowhere")
                } catch {
                    #expect(error.kind == .exhausted)
                    #expect(error.message.contains("2 are cooling down"))
                    #expect(error.message.contains("as many as a day may have"))
                    let wait = try #require(error.retryAfter)
                    // Up to a tenth more, so that not all come at once.
                    #expect(wait > .zero && wait <= .seconds(132))
                }
            }
        }
    }
}
