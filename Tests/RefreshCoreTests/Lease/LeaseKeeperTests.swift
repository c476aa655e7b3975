import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Testing

@Suite("Standing for election", .timeLimit(.minutes(10)))
struct LeaseKeeperTests {
    /// Two keepers on one store in manual time, and the reigns each of them has had.
    private struct Pair {
        let time = ManualTimeSource()
        let store: ModelStore
        let keepers: [LeaseKeeper]
        let reigns = [Reigns(), Reigns()]
        let log = CapturedLog()

        init() throws {
            store = ModelStore(time: time)
            keepers = try [0, 1].map { [time, store, log] number in
                LeaseKeeper(
                    store: store, instance: try InstanceID("k\(number)"), ttl: .seconds(5), time: time,
                    logger: log.logger, seed: UInt64(number))
            }
        }

        func start(_ number: Int) -> Task<Void, Never> {
            Task { [keeper = keepers[number], reigns = reigns[number], time] in
                await keeper.run { reign in
                    reigns.began(reign)
                    try? await time.sleep(for: .seconds(1_000_000))
                    reigns.ended()
                }
            }
        }

        /// Lets time pass in small steps until the condition holds; a step is taken once at least `sleepers` sleep,
        /// so nobody is still busy with the step before.
        func pass(_ what: Comment, sleepers: Int, _ condition: @Sendable () -> Bool) async throws {
            while !condition() {
                try await eventually(what) { condition() || time.sleeperCount >= sleepers }
                if condition() { return }
                time.advance(by: .milliseconds(10))
            }
        }
    }

    private final class Reigns: Sendable {
        private let state = NIOLockedValueBox<(epochs: [Int64], current: Reign?)>(([], nil))
        func began(_ reign: Reign) {
            state.withLockedValue {
                $0.epochs.append(reign.epoch)
                $0.current = reign
            }
        }
        func ended() { state.withLockedValue { $0.current = nil } }
        var epochs: [Int64] { state.withLockedValue { $0.epochs } }
        var current: Reign? { state.withLockedValue { $0.current } }
    }

    @Test("one leads, the other follows; released on shutdown, the follower takes over at once with a new epoch")
    func takeoverAfterRelease() async throws {
        let pair = try Pair()
        await pair.store.onLeaderReleased { [keeper = pair.keepers[1]] in keeper.leaderReleased() }
        let first = pair.start(0)
        try await eventually("the first leads") { pair.reigns[0].epochs == [1] }
        let second = pair.start(1)
        try await eventually("the second has bid") { await pair.store.callCount(.acquire) == 2 }
        // Long after the lease's life the first still leads: it renews. The work sleeps too, so three sleep.
        for _ in 0..<200 {
            try await eventually("all sleep") { pair.time.sleeperCount == 3 }
            pair.time.advance(by: .milliseconds(100))
        }
        try await eventually("all sleep") { pair.time.sleeperCount == 3 }
        #expect(pair.keepers[0].isLeader)
        #expect(!pair.keepers[1].isLeader)
        #expect(await pair.store.callCount(.renew) > 8)
        let (before, sleeps) = (pair.time.monotonic(), pair.time.sleepsStarted)
        first.cancel()
        await first.value
        // It still sleeps as before until it takes notice.
        try await eventually("the second has heard of it") {
            pair.keepers[1].isLeader || pair.time.sleepsStarted > sleeps
        }
        try await pair.pass("the second takes over", sleepers: 1) { pair.keepers[1].isLeader }
        #expect(pair.time.monotonic() - before <= .milliseconds(100))
        #expect(pair.keepers[1].epoch == 2)
        second.cancel()
        await second.value
        #expect(await pair.store.leader() == nil)
    }

    @Test("a leader that dies without a word is followed after the lease's life")
    func takeoverAfterTTL() async throws {
        let pair = try Pair()
        let dead = try await pair.store.acquire(try InstanceID("dead"), ttl: .seconds(5))
        #expect(dead == .acquired(epoch: 1))
        let keeper = pair.start(0)
        try await pair.pass("the follower takes over", sleepers: 1) { pair.keepers[0].isLeader }
        #expect(pair.time.monotonic() >= MonotonicTime(nanoseconds: 5_000_000_000))
        #expect(pair.time.monotonic() <= MonotonicTime(nanoseconds: 6_000_000_000))
        #expect(pair.keepers[0].epoch == 2)
        keeper.cancel()
        await keeper.value
    }

    @Test("a store that is away ends the reign by the local clock, and the work is told")
    func storeAway() async throws {
        let pair = try Pair()
        let keeper = pair.start(0)
        try await eventually("leads") { pair.reigns[0].current != nil }
        let reign = try #require(pair.reigns[0].current)
        #expect(reign.isCurrent)
        await pair.store.setDown(true)
        try await pair.pass("the reign ends", sleepers: 2) { !pair.keepers[0].isLeader }
        #expect(pair.time.monotonic() >= MonotonicTime(nanoseconds: 4_900_000_000))
        #expect(!reign.isCurrent)
        try await pair.pass("the work is cancelled", sleepers: 1) { pair.reigns[0].current == nil }
        await pair.store.setDown(false)
        try await pair.pass("leads again", sleepers: 1) { pair.reigns[0].epochs.count == 2 }
        keeper.cancel()
        await keeper.value
    }
}
