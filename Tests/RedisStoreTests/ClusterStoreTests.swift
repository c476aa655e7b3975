import NIOConcurrencyHelpers
import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// Everything that the store does, on a real Cluster of six with 64 partitions.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct ClusterStoreTests {
    @Test func everythingWorksOnACluster() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "perennial", aLifeOfAnAccount)
            try await StoreFixture.run(on: cluster, prefix: "lists", listsAndSchedules)
            try await StoreFixture.run(on: cluster, prefix: "pauses", pauses)
            try await StoreFixture.run(on: cluster, prefix: "fleet", theFleet)
        }
    }

    private func aLifeOfAnAccount(_ fixture: StoreFixture) async throws {
        #expect(try await fixture.redis("HGET", fixture.link.keys.meta, "partitions").int == 64)
        // Several, so that each node has some.
        for id in (0..<12).map({ "account-\($0)" }) {
            let account = try AccountID(id)
            #expect(try await fixture.add(id, access: "access-1") == .created(Generation(1)))
            #expect(try await fixture.begin(id, "attempt-1").word == "granted")
            #expect(try await fixture.begin(id, "attempt-2").word == "held")
            #expect(try await fixture.commit(id, "attempt-1", generation: 1) == .committed(enabled: true))
            #expect(try await fixture.commit(id, "attempt-1", generation: 1) == .already)
            #expect(try await fixture.account(id)?.generation == Generation(2))
            #expect(try await fixture.begin(id, "attempt-3").word == "granted")
            #expect(try await fixture.add(id, refresh: "refresh-3") == .replaced(Generation(3)))
            #expect(try await fixture.commit(id, "attempt-3", generation: 2) == .orphaned)
            #expect(try await fixture.redis("LLEN", fixture.link.keys.orphans(account)).int == 1)
            #expect(try await fixture.isDue(id))
            #expect(try await fixture.directory.edit(account, AccountEdit(name: "new", enabled: false)) == .done)
            #expect(try await fixture.isDue(id) == false)
            #expect(try await fixture.begin(id, "attempt-4").word == "blocked")
            #expect(try await fixture.directory.remove(account, ifGeneration: Generation(3)) == .done)
            #expect(try await fixture.account(id) == nil)
        }
    }

    private func listsAndSchedules(_ fixture: StoreFixture) async throws {
        let names = (0..<150).map { "account-\($0)" }
        for (number, name) in names.enumerated() {
            try await fixture.add(name, dueIn: number < 50 ? .zero : .seconds(1000))
        }
        #expect(try await fixture.directory.count() == 150)
        var found: [String] = []
        var after: AccountID?
        repeat {
            let page = try await fixture.directory.list(after: after, limit: 40)
            found += page.accounts.map(\.id.rawValue)
            after = page.next
        } while after != nil
        #expect(found == names.sorted())

        var taken: Set<DueAccount> = []
        let limits = [StoreFixture.provider: 16]
        for _ in 0..<20 where taken.count < 50 {
            let batch = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(300))
            #expect(batch.due.count <= 16)
            #expect(taken.isDisjoint(with: batch.due))
            taken.formUnion(batch.due)
            if taken.count < 50 { #expect(batch.nextDueIn == .zero) }
        }
        #expect(taken.count == 50)
        let later = try await fixture.schedule.takeDue(limits: limits, hold: .seconds(300))
        #expect(later.due.isEmpty)
        #expect(try #require(later.nextDueIn) > .seconds(200))

        for partition in 0..<64 {
            _ = try await fixture.redis("DEL", fixture.link.keys.due(partition, StoreFixture.provider))
        }
        #expect(try await fixture.schedule.reconcile() == 150)
        #expect(try await fixture.schedule.reconcile() == 0)
        #expect(try await fixture.schedule.scheduledCounts([StoreFixture.provider]) == [StoreFixture.provider: 150])
    }

    private func theFleet(_ fixture: StoreFixture) async throws {
        let (one, two) = (try InstanceID("one"), try InstanceID("two"))
        var signals = RedisChangeFeed(link: fixture.link).signals().makeAsyncIterator()
        #expect(await signals.next() == .connected)
        for number in 0..<12 {
            try await fixture.add("account-\(number)")
            let id = try AccountID("account-\(number)")
            #expect(
                await signals.next()
                    == .changed(AccountChange(account: id, generation: Generation(1), outcome: .added)))
        }
        #expect(try await fixture.leases.acquire(one, ttl: .seconds(30)) == .acquired(epoch: 1))
        guard case .held = try await fixture.leases.acquire(two, ttl: .seconds(30)) else {
            Issue.record("two leaders")
            return
        }
        #expect(try await fixture.leases.renew(one, epoch: 1, ttl: .seconds(30)))
        try await fixture.leases.release(one, epoch: 1)
        #expect(await signals.next() == .leaderReleased)
        #expect(try await fixture.leases.acquire(two, ttl: .seconds(30)) == .acquired(epoch: 2))
        let registry = RedisInstanceRegistry(link: fixture.link)
        let now = try await fixture.now().milliseconds
        fixture.link.clock.align(to: WallTime(milliseconds: now))
        try await registry.announce(
            InstanceInfo(
                id: "here", host: "host", pid: 1, version: "1", startedAt: now, seenAt: now, listen: [],
                isProactive: true, isLeader: false, refreshes: 0), ttl: .seconds(30))
        #expect(try await registry.instances().map(\.id) == ["here"])
    }

    /// Claims and commits go on while their slots move: none is lost, none happens twice.
    @Test func refreshesGoOnWhileSlotsMove() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "perennial") { fixture in
                let names = (0..<12).map { "account-\($0)" }
                for name in names { try await fixture.add(name) }
                let isStopped = NIOLockedValueBox(false)
                let load = Task {
                    try await withThrowingTaskGroup(of: (String, Int64).self) { group in
                        for name in names {
                            group.addTask {
                                var generation: Int64 = 1
                                while !isStopped.withLockedValue({ $0 }) {
                                    let attempt = "attempt-\(name)-\(generation)"
                                    let begun = try await fixture.begin(name, attempt).word
                                    #expect(begun == "granted")
                                    let ended = try await fixture.commit(name, attempt, generation: generation)
                                    #expect(ended == .committed(enabled: true))
                                    generation += 1
                                }
                                return (name, generation)
                            }
                        }
                        return try await group.reduce(into: [String: Int64]()) { $0[$1.0] = $1.1 }
                    }
                }
                let result: Result<Void, any Error>
                do {
                    try await cluster.reshard(slots: 500, from: cluster.servers[0], to: cluster.servers[1])
                    try await cluster.reshard(slots: 500, from: cluster.servers[2], to: cluster.servers[0])
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                isStopped.withLockedValue { $0 = true }
                let generations = try await load.value
                try result.get()
                for (name, generation) in generations {
                    #expect(try await fixture.account(name)?.generation == Generation(generation), "\(name)")
                }
            }
        }
    }

    /// While a node is away, the accounts of the others are refreshed as ever; those of the lost one follow once its
    /// replica has taken over.
    @Test func theScheduleGoesOnWithoutALostNode() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "perennial") { fixture in
                let names = (0..<60).map { "account-\($0)" }
                for name in names { try await fixture.add(name, dueIn: .zero) }
                // All of it has reached the replicas.
                for server in cluster.servers.prefix(3) { try await waitForReplica(of: server) }
                await cluster.servers[0].kill()
                var taken: Set<DueAccount> = []
                let deadline = ContinuousClock.now + .seconds(300)
                while taken.count < 60, ContinuousClock.now < deadline {
                    let batch = try? await fixture.schedule.takeDue(
                        limits: [StoreFixture.provider: 16], hold: .seconds(600))
                    if let batch {
                        taken.formUnion(batch.due)
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(Set(taken.map(\.account.rawValue)) == Set(names))
            }
        }
    }

    private func waitForReplica(of server: RedisServer) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let info = try await server.ask("info", "replication")
            let written = info.firstMatch(of: /master_repl_offset:(\d+)/)?.1
            let received = info.firstMatch(of: /slave0:.*offset=(\d+)/)?.1
            if let written, written == received { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the replica does not catch up")
    }
}
