import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The lease, the registry of instances and the broadcast of changes on a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct FleetTests {
    @Test func theLeaseIsHeldByOneAndItsEpochGrows() async throws {
        try await StoreFixture.run { fixture in
            let (one, two) = (try InstanceID("one"), try InstanceID("two"))
            let ttl = Duration.seconds(600)
            let begun = try await fixture.now()
            #expect(try await fixture.leases.acquire(one, ttl: ttl) == .acquired(epoch: 1))
            guard case .held(let remaining) = try await fixture.leases.acquire(two, ttl: ttl) else {
                Issue.record("two leaders")
                return
            }
            #expect((begun...(try await fixture.now())).rest(of: ttl).contains(remaining))
            #expect(try await fixture.leases.renew(one, epoch: 1, ttl: ttl))
            #expect(try await fixture.leases.renew(two, epoch: 1, ttl: ttl) == false)
            try await fixture.leases.release(two, epoch: 1)
            #expect(try await fixture.leases.holder()?.instance == "one")
            try await fixture.leases.release(one, epoch: 1)
            #expect(try await fixture.leases.acquire(two, ttl: ttl) == .acquired(epoch: 2))
            #expect(try await fixture.leases.renew(one, epoch: 1, ttl: ttl) == false)
        }
    }

    @Test func changesReachTheFleet() async throws {
        try await StoreFixture.run { fixture in
            var signals = RedisChangeFeed(link: fixture.link).signals().makeAsyncIterator()
            #expect(await signals.next() == .connected)
            try await fixture.add("a")
            let id = try AccountID("a")
            func change(_ generation: Int64, _ outcome: AccountChange.Outcome) -> FleetSignal {
                .changed(AccountChange(account: id, generation: Generation(generation), outcome: outcome))
            }
            #expect(await signals.next() == change(1, .added))
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.commit("a", "attempt-1", generation: 1)
            #expect(await signals.next() == change(2, .refreshed))
            _ = try await fixture.directory.edit(id, AccountEdit(enabled: false))
            #expect(await signals.next() == change(2, .edited))
            // What a newer version says is passed over.
            _ = try await fixture.redis("PUBLISH", fixture.link.keys.changes, "3 exploded a and more")
            _ = try await fixture.directory.remove(id, ifGeneration: nil)
            #expect(await signals.next() == change(2, .removed))
            _ = try await fixture.leases.acquire(StoreFixture.instance, ttl: .seconds(600))
            try await fixture.leases.release(StoreFixture.instance, epoch: 1)
            #expect(await signals.next() == .leaderReleased)
        }
    }

    @Test func instancesAreSeenAsLongAsTheyAnnounceThemselves() async throws {
        try await StoreFixture.run { fixture in
            let registry = RedisInstanceRegistry(link: fixture.link)
            let now = try await fixture.now().milliseconds
            try await fixture.add("a")
            func info(_ id: String, seenAt: Int64) -> InstanceInfo {
                InstanceInfo(
                    id: id, host: "host", pid: 1, version: "1", startedAt: now, seenAt: seenAt, listen: [],
                    isProactive: true, isLeader: false, refreshes: 0)
            }
            try await registry.announce(info("here", seenAt: now), ttl: .seconds(30))
            try await registry.announce(info("silent", seenAt: now - 31_000), ttl: .seconds(30))
            try await registry.announce(info("long gone", seenAt: now - 400_000), ttl: .seconds(30))
            #expect(try await registry.instances().map(\.id) == ["here"])
            #expect(try await fixture.redis("HLEN", fixture.link.keys.instances).int == 2)
            try await registry.withdraw(try InstanceID("here"))
            #expect(try await registry.instances().isEmpty)
        }
    }

    @Test func fieldsAreReadInTheOrderInWhichScriptsReturnThem() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", access: "access-1", name: "a name")
            let plain = try #require(try await fixture.account("a"))
            guard case .fresh(let scripted) = try await fixture.begin("a", "x", demand: .newerThan(Generation(0)))
            else {
                Issue.record("not fresh")
                return
            }
            #expect(plain == scripted)
            #expect(plain.name == "a name")
        }
    }
}
