import PerennialTesting
import RefreshCore
import Testing

/// Picking and blaming, over several instances.
@Suite(.timeLimit(.minutes(10)))
struct PoolDeskTests {
    @Test("a pick costs no command as long as nothing changes, and a refresh of an account changes nothing about that")
    func warm() async throws {
        let site = try await PoolSite(strategy: .roundRobin)
        for name in ["a", "b", "c"] { try await site.add(name) }
        for _ in 0..<3 { _ = try await site.pick() }
        let (reads, commands) = (await site.fleet.store.callCount(.read), site.cooldowns.commands)
        #expect(site.pools.reads == 1)
        var names: [String] = []
        for _ in 0..<300 {
            let pick = try await site.pick()
            #expect(pick.answer.accessToken.reveal() == "at-\(pick.account)-0")
            #expect(pick.generation == Generation(1))
            names.append(pick.account.rawValue)
            try await site.report(.ok, pick)
        }
        #expect(["a", "b", "c"].allSatisfy { name in names.count { $0 == name } == 100 })
        #expect(await site.fleet.store.callCount(.read) == reads)
        #expect(site.cooldowns.commands == commands)
        // A refresh: the pool is not read again, only the token, once.
        _ = await site.fleet.newerThan(1, try accountID("a"))
        for _ in 0..<6 { _ = try await site.pick() }
        #expect(site.pools.reads == 1)
        #expect(await site.fleet.store.callCount(.read) <= reads + 1)
    }

    @Test("trap 8: an account that has hit its quota is picked by no instance before its cool-down ends")
    func quota() async throws {
        let site = try await PoolSite(instances: 3)
        try await site.add("anonymous-1", tier: "anonymous")
        try await site.add("mine", tier: "personal")
        for instance in 0..<3 { #expect(try await site.name(on: instance) == "anonymous-1") }
        try await site.report(.quota, try await site.pick(on: 1), on: 1)
        for step in 0..<59 {
            for instance in 0..<3 { #expect(try await site.name(on: instance) == "mine", "after \(step) s") }
            site.time.advance(by: .seconds(1))
        }
        site.time.advance(by: .seconds(1))
        for instance in 0..<3 { #expect(try await site.name(on: instance) == "anonymous-1") }
        // Again: twice as long. A success in between: as long as at first.
        try await site.report(.quota, try await site.pick())
        site.time.advance(by: .seconds(119))
        #expect(try await site.name(on: 2) == "mine")
        site.time.advance(by: .seconds(1))
        let pick = try await site.pick(on: 2)
        #expect(pick.account.rawValue == "anonymous-1")
        let success = PoolReport(pool: warp, account: pick.account, outcome: .ok)
        #expect(site.desk.isNews(success))
        try await site.report(.ok, pick, on: 2)
        #expect(!site.desk.isNews(success))
        try await site.report(.quota, try await site.pick())
        site.time.advance(by: .seconds(60))
        #expect(try await site.name() == "anonymous-1")
    }

    @Test("under two hundred concurrent calls the right account is blamed, and it is one cool-down")
    func concurrent() async throws {
        let site = try await PoolSite(instances: 2, strategy: .roundRobin)
        for name in ["a", "b", "c", "d"] { try await site.add(name) }
        let bad = try accountID("b")
        // All are under way before the first of them is over.
        let picks: [PoolPick] = try await withThrowingTaskGroup(of: PoolPick.self) { group in
            for number in 0..<200 { group.addTask { try await site.pick(on: number % 2) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(picks.count { $0.account == bad } == 50)
        try await withThrowingTaskGroup { group in
            for (number, pick) in picks.enumerated() {
                group.addTask { try await site.report(pick.account == bad ? .quota : .ok, pick, on: number % 2) }
            }
            try await group.waitForAll()
        }
        let status = try await site.desk.status(of: warp)
        #expect(status.cooldowns.map(\.key) == [CooldownKey(account: bad)])
        #expect(status.cooldowns.first?.repeats == 1)
        #expect(status.available == 3)
        for number in 0..<100 { #expect(try await site.name(on: number % 2) != "b") }
    }

    @Test("a cool-down for one model, with an end that the provider has told")
    func dimension() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        let end = site.time.wall() + .seconds(500)
        try await site.report(.quota, try await site.pick(), until: end, dimension: "gpt-5")
        #expect(try await site.name(on: 1, dimension: "gpt-5") == "b")
        #expect(try await site.name(on: 1) == "a")
        #expect(
            site.desk.cooldown(CooldownKey(account: try accountID("a"), dimension: "gpt-5"), in: warp)?.until == end)
        site.time.advance(by: .seconds(500))
        #expect(try await site.name(on: 1, dimension: "gpt-5") == "a")
    }

    @Test("trap 7: an empty or expired token is refreshed before it is handed out")
    func empty() async throws {
        let site = try await PoolSite()
        try await site.add("new", remaining: nil)
        let picks: [PoolPick] = try await withThrowingTaskGroup(of: PoolPick.self) { group in
            for _ in 0..<50 { group.addTask { try await site.pick() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(picks.allSatisfy { !$0.answer.accessToken.isEmpty && $0.generation == Generation(2) })
        #expect(site.fleet.endpoint.uses.count == 1)
        site.time.advance(by: .seconds(3601))
        #expect(try await site.pick().generation == Generation(3))
    }

    @Test("an account whose token cannot be had is passed over, and not asked for again at once")
    func noToken() async throws {
        let site = try await PoolSite()
        let dead = try await site.add("dead", remaining: .seconds(-10))
        try await site.add("good")
        site.fleet.endpoint.script(.unsent, .unsent, for: dead)
        for _ in 0..<20 { #expect(try await site.name() == "good") }
        #expect(await site.fleet.store.callCount(.begin) <= 2)
        try await eventually("the refresh behind the picks has failed") {
            let status = try await site.desk.status(of: warp)
            return status.members.first { $0.account.id == dead }?.standing.word == "token_unavailable"
        }
    }

    @Test("a refused token: one refresh, whoever reports it and how often; its generation is not handed out again")
    func refused() async throws {
        let site = try await PoolSite(instances: 2)
        let id = try await site.add("a")
        let picks = [try await site.pick(on: 0), try await site.pick(on: 1)]
        try await withThrowingTaskGroup { group in
            for number in 0..<100 {
                group.addTask {
                    try await site.report(.tokenRefused, picks[number % 2], on: number % 2)
                    #expect(try await site.pick(on: number % 2).generation == Generation(2))
                }
            }
            try await group.waitForAll()
        }
        #expect(site.fleet.endpoint.uses(of: id).count == 1)
    }

    @Test("where the refresh of a refused token fails the next account is picked, and never the refused token")
    func refusedForGood() async throws {
        let site = try await PoolSite(instances: 2)
        let id = try await site.add("a")
        try await site.add("b")
        site.fleet.endpoint.script(.unsent, for: id)
        let pick = try await site.pick()
        #expect(pick.account == id)
        try await site.report(.tokenRefused, pick)
        #expect(try await site.name() == "b")
        // Much later: its next try brings a new one, or nothing; the old token would be good by its time.
        site.time.advance(by: .seconds(600))
        let later = try await site.pick()
        #expect(later.account == id && later.generation == Generation(2))
    }

    @Test("a report about an account that is not in the pool is refused, and so is a pool that does not exist")
    func strangers() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        let stranger = try await site.fleet.add("stranger", remaining: .seconds(600))
        await #expect(throws: PoolFailure.self) {
            try await site.desk.report(PoolReport(pool: warp, account: stranger, outcome: .quota))
        }
        do {
            _ = try await site.desk.pick(PoolRequest(pool: PoolFixture.name("nowhere")))
            Issue.record("no such pool")
        } catch {
            #expect(error.kind == .poolNotFound)
        }
        #expect(try await site.cooldowns.cooldowns(of: warp).value.isEmpty)
    }

    @Test("accounts come, go, are paused and moved: the next pick knows")
    func changes() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("b")
        #expect(try await site.name(on: 1) == "b")
        try await site.add("a")
        #expect(try await site.name(on: 1) == "a")
        try await site.edit("a", AccountEdit(enabled: false))
        #expect(try await site.name(on: 1) == "b")
        try await site.edit("a", AccountEdit(enabled: true))
        try await site.edit("b", AccountEdit(traits: TraitChanges(tier: .set(PoolFixture.tier("personal")))))
        #expect(try await site.name(on: 1) == "a")
        _ = try await site.fleet.store.remove(try accountID("a"), ifGeneration: nil)
        #expect(try await site.name(on: 1) == "b")
        try await site.edit("b", AccountEdit(traits: TraitChanges(pool: .remove)))
        #expect(await site.failure(on: 1)?.message == "no account of pool warp is available: it has no account")
        #expect(site.pools.reads <= 2, "each instance has read the pool once")
    }

    @Test("without the fleet's changes nothing is trusted for longer than a second")
    func unsubscribed() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        #expect(try await site.name(on: 1) == "a")
        site.desks[1].subscriptionChanged(isUp: false)
        site.cooldowns.setPublishing(false)
        try await site.report(.quota, try await site.pick())
        site.time.advance(by: .milliseconds(1001))
        #expect(try await site.name(on: 1) == "b")
        let reads = site.pools.reads
        for _ in 0..<100 { _ = try await site.pick(on: 1) }
        #expect(site.pools.reads == reads)
    }

    @Test("a lease is kept for as long as the call takes")
    func leaseKept() async throws {
        let site = try await PoolSite { settings in
            settings.maxConcurrent = 1
            settings.leaseTTL = .seconds(60)
        }
        let id = try await site.add("a")
        let lease = try #require(try await site.pick().lease)
        let keeper = Task { [desk = site.desk] in await desk.keep(lease) }
        for _ in 0..<10 {
            let commands = site.cooldowns.commands
            try await eventually("it waits") { site.time.sleeperCount > 0 }
            site.time.advanceToNextDeadline()
            try await eventually("the lease is renewed") { site.cooldowns.commands > commands }
            #expect(site.cooldowns.inUse(id, of: warp) == 1)
        }
        keeper.cancel()
        await keeper.value
        await site.desk.release(lease)
        #expect(site.cooldowns.inUse(id, of: warp) == 0)
        // What is released is not taken again.
        let late = Task { [desk = site.desk] in await desk.keep(lease) }
        try await eventually("it waits") { site.time.sleeperCount > 0 }
        site.time.advanceToNextDeadline()
        await late.value
        #expect(site.cooldowns.inUse(id, of: warp) == 0)
    }
}
