import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Testing

@Suite("One flight per account, one exchange per generation", .timeLimit(.minutes(10)))
struct CoordinatorTests {
    @Test("500 callers of one instance: one exchange, all answered")
    func oneInstance() async throws {
        let fleet = try await Fleet(realTime(), policies: .patient)
        let id = try await fleet.add("alice")
        let answered = Counter()
        await withDiscardingTaskGroup { group in
            for _ in 0..<500 {
                group.addTask {
                    if await fleet.newerThan(1, id).snapshot?.generation == Generation(2) { answered.add() }
                }
            }
        }
        #expect(answered.value == 500)
        #expect(fleet.endpoint.uses.count == 1)
        #expect(await fleet.store.callCount(.begin) == 1)
    }

    @Test("three instances with 500 readers each: exactly one exchange, no failure")
    func threeInstances() async throws {
        let fleet = try await Fleet(realTime(), instances: 3, policies: .patient)
        try await stampede(fleet)
        #expect(fleet.endpoint.uses.count == 1)
        #expect(fleet.instances.map { $0.statistics.snapshot().exchanges }.reduce(0, +) == 1)
    }

    @Test("the same with every publish dropped: one exchange, all answered with the new token by rereading")
    func publishesDropped() async throws {
        let fleet = try await Fleet(realTime(), instances: 3, policies: .patient, fallbackReread: .milliseconds(50))
        await fleet.store.setPublishing(false)
        fleet.endpoint.hold()
        let readers = Task { try await stampede(fleet) }
        // The two others have to be waiting for the first one before it is answered.
        try await eventually("all have asked") { await fleet.store.callCount(.begin) >= 3 }
        fleet.endpoint.letGo()
        try await readers.value
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("trap 2: with every publish dropped, a waiter is answered within one fall-back interval of the commit")
    func fallbackInterval() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2)
        await fleet.store.setPublishing(false)
        let id = try await fleet.add("alice")
        fleet.endpoint.hold()
        async let first = fleet.newerThan(1, id, on: 0)
        try await eventually("the first spends") { fleet.endpoint.uses.count == 1 }
        async let second = fleet.newerThan(1, id, on: 1)
        await time.waitForSleeper()
        fleet.endpoint.letGo()
        #expect(await first.isRefreshed)
        time.advance(by: .milliseconds(313))
        // Trap 2: "newer" is what has been committed, not what there was before the wait.
        let answer = await second
        #expect(answer.isNewer)
        #expect(answer.snapshot?.generation == Generation(2))
        #expect(fleet.endpoint.uses.count == 1)
    }

    private func stampede(_ fleet: Fleet<FleetClock>) async throws {
        let id = try await fleet.add("alice")
        let good = Counter()
        await withDiscardingTaskGroup { group in
            for instance in fleet.instances {
                for _ in 0..<500 {
                    group.addTask {
                        let answer = try? await instance.reader.token(TokenRequest(account: id))
                        if answer?.snapshot.generation == Generation(2), answer?.isStale == false { good.add() }
                    }
                }
            }
        }
        #expect(good.value == 500 * fleet.instances.count)
        #expect(fleet.endpoint.revokedFamilies.isEmpty)
    }

    @Test("1,000 simultaneous \"generation g was refused\" on three instances: one refresh")
    func thousandRefusals() async throws {
        let fleet = try await Fleet(realTime(), instances: 3, policies: .patient)
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        for instance in fleet.instances { _ = try await instance.reader.token(TokenRequest(account: id)) }
        let good = Counter()
        await withDiscardingTaskGroup { group in
            for number in 0..<1000 {
                group.addTask {
                    let request = TokenRequest(account: id, refused: Generation(1))
                    let answer = try? await fleet.instances[number % 3].reader.token(request)
                    if answer?.snapshot.generation == Generation(2) { good.add() }
                }
            }
        }
        #expect(good.value == 1000)
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("trap 10: a caller that hangs up abandons nothing: the rotation is finished and stored")
    func callerHangsUp() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        fleet.endpoint.hold()
        let caller = Task { await fleet.newerThan(1, id) }
        try await eventually("the token is being spent") { fleet.endpoint.underWay == 1 }
        caller.cancel()
        fleet.endpoint.letGo()
        try await eventually("committed") { await fleet.store.snapshot(id)?.generation == Generation(2) }
        #expect(await fleet.one.journal.pending().isEmpty)
    }

    @Test("trap 1: rotation after rotation by several instances, each with the newest refresh token only")
    func neverReplays() async throws {
        let fleet = try await Fleet(realTime(), instances: 3, policies: .patient)
        let ids = try await [fleet.add("a"), fleet.add("b"), fleet.add("c")]
        await withDiscardingTaskGroup { group in
            for instance in fleet.instances {
                for id in ids {
                    group.addTask {
                        for _ in 0..<20 {
                            guard let answer = try? await instance.reader.token(TokenRequest(account: id)) else {
                                return
                            }
                            _ = try? await instance.reader.token(
                                TokenRequest(account: id, refused: answer.snapshot.generation))
                        }
                    }
                }
            }
        }
        #expect(fleet.endpoint.duplicateSpends == 0)
        #expect(fleet.endpoint.revokedFamilies.isEmpty)
        for id in ids {
            let uses = fleet.endpoint.uses(of: id).map(\.generation)
            #expect(Set(uses).count == uses.count)
            #expect(await fleet.store.snapshot(id)?.status == .active)
            #expect(await fleet.store.snapshot(id)?.generation == Generation(Int64(uses.count) + 1))
        }
    }

    @Test("outcomes: refreshed, joined by a waiter, already newer")
    func outcomes() async throws {
        let fleet = try await Fleet(ManualTimeSource(), instances: 2)
        let id = try await fleet.add("alice")
        let first = await fleet.one.coordinator.refresh(id, provider: acme, demand: .newerThan(Generation(1)))
        #expect(first.outcome == .refreshed)
        let second = await fleet.instances[1].coordinator.refresh(id, provider: acme, demand: .newerThan(Generation(1)))
        #expect(second.outcome == .alreadyNewer)
        let unknown = await fleet.one.coordinator.refresh(
            id, provider: ProviderFixture.name("other"), demand: .whenDue)
        #expect(unknown.result.failure?.code == .unknownProvider)
    }

    @Test("who joins a flight that found nothing due, but wants a newer generation, gets one")
    func joinsAnIdleFlight() async throws {
        let fleet = try await Fleet(realTime(), policies: .patient)
        let id = try await fleet.add("alice", remaining: .seconds(3000))
        await fleet.store.tamper(id) { $0.dueAt = $0.expiresAt }
        for _ in 0..<50 {
            let known = try #require(await fleet.store.snapshot(id)).generation
            async let scan = fleet.one.coordinator.refresh(id, provider: acme, demand: .whenDue)
            async let caller = fleet.one.coordinator.refresh(id, provider: acme, demand: .newerThan(known))
            _ = await scan
            try #require(await caller.result.snapshot.map { $0.generation > known } == true)
        }
    }

    @Test("shutting down lets flights land and starts no new ones")
    func shutDown() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let (alice, bob) = (try await fleet.add("alice"), try await fleet.add("bob"))
        _ = try await fleet.store.edit(bob, AccountEdit(enabled: false))
        fleet.endpoint.hold()
        async let landing = fleet.newerThan(1, alice)
        try await eventually("the token is being spent") { fleet.endpoint.underWay == 1 }
        async let closing: Void = fleet.one.coordinator.shutDown()
        try await eventually("no new flights") { await fleet.newerThan(1, bob).failure?.code == .shuttingDown }
        fleet.endpoint.letGo()
        #expect(await landing.isRefreshed)
        await closing
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("the exchanges of one provider under way at once are bounded")
    func bounded() async throws {
        let policies = ModelPolicies(
            .test {
                $0.maxConcurrentExchanges = 3
                $0.sendBy = .seconds(60)
                $0.lockTTL = .seconds(120)
            })
        let fleet = try await Fleet(realTime(), policies: policies)
        var ids: [AccountID] = []
        for number in 0..<30 { ids.append(try await fleet.add("a\(number)")) }
        fleet.endpoint.hold()
        let all = Task { [ids] in
            await withDiscardingTaskGroup { group in
                for id in ids { group.addTask { _ = await fleet.newerThan(1, id) } }
            }
        }
        try await eventually("three are under way") { fleet.endpoint.underWay == 3 }
        #expect(await fleet.store.callCount(.begin) == 3)
        fleet.endpoint.letGo()
        await all.value
        #expect(fleet.endpoint.peakConcurrency <= 3)
        #expect(fleet.endpoint.uses.count == 30)
    }
}
