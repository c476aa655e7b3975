import PerennialTesting
import RefreshCore
import Testing

@Suite("When the store loses what it has acknowledged", .timeLimit(.minutes(10)))
struct FailoverTests {
    @Test("a claim that is not confirmed is not used: nothing is sent, the mark is taken back")
    func undurableClaim() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.setConfirming(false)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        #expect(fleet.endpoint.uses.isEmpty)
        let snapshot = try #require(await fleet.store.snapshot(id))
        #expect(snapshot.intent == nil)
        #expect(snapshot.generation == Generation(1))
    }

    @Test("a commit that is not confirmed is served, and the journal keeps it until it is")
    func unconfirmedCommit() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice")
        fleet.endpoint.hold()
        async let result = fleet.newerThan(1, id)
        while fleet.endpoint.underWay == 0 { await Task.yield() }
        await fleet.store.setConfirming(false)
        fleet.endpoint.letGo()
        #expect(await result.isRefreshed)
        #expect(await fleet.one.journal.pending().count == 1)
        #expect(await fleet.one.coordinator.recoverLeftovers().waiting == 1)
        await fleet.store.setConfirming(true)
        #expect(await fleet.one.coordinator.recoverLeftovers().committed == 1)
        #expect(await fleet.one.journal.pending().isEmpty)
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("a failover that loses COMMIT: restored to g+1, the token is not spent again")
    func lostCommit() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2, keepsStored: true)
        let id = try await fleet.add("alice")
        let before = await fleet.store.copy()
        #expect(await fleet.newerThan(1, id).isRefreshed)
        await fleet.store.failOver(to: before)
        // The other instance knows nothing, and is held back.
        #expect(await fleet.newerThan(1, id, on: 1).failure?.code == .storeUnavailable)
        #expect(await fleet.one.coordinator.restoreStored().committed == 1)
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
        #expect(await fleet.newerThan(1, id, on: 1).isNewer)
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("who has the lost token puts it back before it asks for another claim")
    func restoresByItself() async throws {
        let fleet = try await Fleet(ManualTimeSource(), keepsStored: true)
        let id = try await fleet.add("alice")
        let before = await fleet.store.copy()
        #expect(await fleet.newerThan(1, id).isRefreshed)
        await fleet.store.failOver(to: before)
        #expect(await fleet.newerThan(2, id).failure?.code == .storeUnavailable)
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("after the quarantine refreshing goes on")
    func quarantineEnds() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice")
        await fleet.store.failOver(to: await fleet.store.copy())
        let failure = try #require(await fleet.newerThan(1, id).failure)
        #expect(failure.code == .storeUnavailable)
        #expect(failure.retryAt == time.wall() + RefreshPolicy.test().failoverHold)
        time.advance(by: RefreshPolicy.test().failoverHold)
        #expect(await fleet.newerThan(1, id).isRefreshed)
    }

    @Test("a token that the store has lost is served while it is good")
    func lostTokenIsServed() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        let before = await fleet.store.copy()
        #expect(await fleet.newerThan(1, id).isRefreshed)
        await fleet.store.failOver(to: before)
        fleet.one.cache.subscriptionChanged(isUp: true)
        let served = try await fleet.one.reader.token(TokenRequest(account: id))
        #expect(served.snapshot.generation == Generation(2))
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("what nobody puts back is given up after a while, and said aloud")
    func givesUp() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice")
        let before = await fleet.store.copy()
        #expect(await fleet.newerThan(1, id).isRefreshed)
        await fleet.store.failOver(to: before)
        #expect(await fleet.newerThan(2, id).failure?.code == .storeUnavailable)
        time.advance(by: RefreshPolicy.test().failoverHold + .seconds(1))
        _ = await fleet.newerThan(2, id)
        #expect(fleet.log.lines.contains { $0.contains("nobody has put them back") })
        #expect(fleet.endpoint.uses.count == 2)
    }
}
