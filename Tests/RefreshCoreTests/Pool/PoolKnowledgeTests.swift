import PerennialTesting
import RefreshCore
import Testing

/// What instances know of the accounts of a pool, and how far they trust it.
@Suite(.timeLimit(.minutes(10)))
struct PoolKnowledgeTests {
    private func kind(_ body: () async throws -> Void) async -> PoolFailure.Kind? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? PoolFailure)?.kind
        }
    }

    @Test("a generation that there has never been is refused itself, and costs no refresh, then or later")
    func bogusGeneration() async throws {
        let site = try await PoolSite(instances: 2)
        let id = try await site.add("a")
        let pick = try await site.pick()
        let bogus = PoolReport(pool: warp, account: id, generation: Generation(500), outcome: .tokenRefused)
        for _ in 0..<3 { #expect(await kind { try await site.desk.report(bogus) } == .generationConflict) }
        for _ in 0..<20 { #expect(try await site.pick().generation == pick.generation) }
        #expect(site.fleet.endpoint.uses.isEmpty)
        // One that this instance has not heard of yet is not bogus.
        await site.fleet.store.setPublishing(false)
        _ = await site.fleet.newerThan(1, id, on: 1)
        await site.fleet.store.setPublishing(true)
        let newer = PoolReport(pool: warp, account: id, generation: Generation(2), outcome: .tokenRefused)
        #expect(await kind { try await site.desk.report(newer) } == nil)
        #expect(try await site.pick().generation == Generation(3))
        #expect(site.fleet.endpoint.uses.count == 2)
    }

    @Test("a report about an account that has just come is not lost: it is looked for once")
    func justCome() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        _ = try await site.pick()
        await site.fleet.store.setPublishing(false)
        try await site.add("b")
        await site.fleet.store.setPublishing(true)
        let id = try accountID("b")
        try await site.desk.report(PoolReport(pool: warp, account: id, outcome: .quota))
        #expect(try await site.cooldowns.cooldowns(of: warp).value.map(\.key.account) == [id])
        let reads = await site.fleet.store.callCount(.read)
        #expect(
            await kind {
                try await site.desk.report(PoolReport(pool: warp, account: try accountID("nobody"), outcome: .quota))
            } == .notInPool)
        #expect(await site.fleet.store.callCount(.read) == reads + 1)
    }

    @Test("one account that cannot be read does not keep the others from being picked")
    func unreadable() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await site.add("b")
        #expect(try await site.name() == "a")
        await site.fleet.store.fail(.read, .unreadable)
        try await site.edit("a", AccountEdit(name: "another name"))
        #expect(try await site.name() == "b")
        #expect(try await site.desk.status(of: warp).members.map(\.account.id.rawValue) == ["b"])
        #expect(site.fleet.log.lines.contains { $0.contains("cannot be read") })
        try await site.edit("a", AccountEdit(name: "mended"))
        #expect(try await site.name() == "a")
    }

    @Test("many changes and a read that fails: nothing of them is forgotten")
    func manyChanges() async throws {
        let site = try await PoolSite()
        for number in 100..<250 { try await site.add("a\(number)") }
        #expect(try await site.name() == "a100")
        for number in 100..<240 { try await site.edit("a\(number)", AccountEdit(enabled: false)) }
        site.pools.fail(1)
        _ = try? await site.name()
        site.time.advance(by: .seconds(2))
        #expect(try await site.name() == "a240")
    }

    @Test("an account whose token has run out makes nobody wait while another has one, and is refreshed behind")
    func validFirst() async throws {
        let site = try await PoolSite()
        let lapsed = try await site.add("a", remaining: .seconds(-10))
        try await site.add("b")
        try await site.add("c", tier: "personal")
        #expect(try await site.name() == "b")
        try await eventually("refreshed behind") { site.fleet.endpoint.uses(of: lapsed).count == 1 }
        try await eventually("known") { try await site.name() == "a" }
        #expect(site.fleet.endpoint.uses.count == 1)
        // Where it is the only one of its tier it comes before the next tier.
        let other = try await PoolSite()
        try await other.add("a", tier: "anonymous", remaining: .seconds(-10))
        try await other.add("p", tier: "personal")
        #expect(try await other.name() == "a")
    }

    @Test("an account that was removed and added again does not inherit what the old one had used up")
    func addedAgain() async throws {
        let site = try await PoolSite(instances: 2)
        let id = try await site.add("a")
        try await site.add("b")
        try await site.report(.quota, try await site.pick(), until: site.time.wall() + .seconds(3000))
        #expect(try await site.name() == "b")
        _ = try await site.fleet.store.remove(id, ifGeneration: nil)
        site.time.advance(by: .seconds(60))
        try await site.add("a")
        for instance in 0..<2 { #expect(try await site.name(on: instance) == "a") }
        // What it uses up itself counts, from the beginning.
        try await site.report(.quota, try await site.pick())
        for instance in 0..<2 { #expect(try await site.name(on: instance) == "b") }
        let cooldown = try #require(try await site.cooldowns.cooldowns(of: warp).value.first)
        #expect(cooldown.repeats == 1 && cooldown.until == site.time.wall() + .seconds(60))
    }
}
