import NIOConcurrencyHelpers
import RedisClient
import RefreshCore
import Sealing
import Testing

@testable import RedisStore

/// How a store of many partitions is looked at, and who decides how many there are.
@Suite(.timeLimit(.minutes(10)))
struct PartitionTests {
    /// A schedule of accounts that are all due, by partition and provider.
    private final class Shelves: Sendable {
        let accounts: NIOLockedValueBox<[Int: [ProviderName: Int]]>
        let away: Set<Int>
        let looks = NIOLockedValueBox<[[ProviderName: Int]]>([])

        init(_ accounts: [Int: [ProviderName: Int]], away: Set<Int> = []) {
            self.accounts = NIOLockedValueBox(accounts)
            self.away = away
        }

        func take(_ partition: Int, _ limits: [ProviderName: Int]) throws(StoreError) -> DueBatch {
            looks.withLockedValue { $0.append(limits) }
            guard !away.contains(partition) else { throw StoreError(.unavailable, "away") }
            return accounts.withLockedValue { accounts in
                var due: [DueAccount] = []
                for (provider, limit) in limits {
                    let count = min(limit, accounts[partition]?[provider] ?? 0)
                    accounts[partition]?[provider]? -= count
                    let left = accounts[partition]?[provider] ?? 0
                    due += (0..<count).map { number in
                        DueAccount(
                            account: try! AccountID("\(partition)-\(provider.rawValue)-\(left + number)"),
                            provider: provider)
                    }
                }
                let isMoreDue = accounts[partition]?.values.contains { $0 > 0 } ?? false
                return DueBatch(due: due, nextDueIn: isMoreDue ? .zero : .seconds(40))
            }
        }

        func look(_ limits: [ProviderName: Int]) async throws(StoreError) -> DueBatch {
            var look = PartitionedDue(partitions: 64, limits: limits)
            return try await look.run { partition, limits throws(StoreError) in try self.take(partition, limits) }
        }
    }

    private let one = try! ProviderName("one")
    private let two = try! ProviderName("two")

    @Test func limitsHoldForAllPartitionsTogether() async throws {
        let shelves = Shelves(Dictionary(uniqueKeysWithValues: (0..<64).map { ($0, [one: 3, two: 1]) }))
        let batch = try await shelves.look([one: 10, two: 0])
        #expect(batch.due.count == 10)
        #expect(batch.due.allSatisfy { $0.provider == one })
        #expect(batch.nextDueIn == .zero)
        var all = Set(batch.due)
        for _ in 0..<100 {
            let next = try await shelves.look([one: 10, two: 10])
            #expect(next.due.count(where: { $0.provider == one }) <= 10)
            #expect(next.due.count(where: { $0.provider == two }) <= 10)
            #expect(all.isDisjoint(with: next.due))
            all.formUnion(next.due)
        }
        #expect(all.count == 64 * 4, "nobody is passed over for ever")
        #expect(try await shelves.look([one: 10, two: 10]).nextDueIn == .seconds(40))
    }

    @Test func oneFullPartitionIsServedWithAllThatOthersLeave() async throws {
        let shelves = Shelves([5: [one: 100], 6: [one: 1]])
        let batch = try await shelves.look([one: 20])
        #expect(batch.due.count == 20)
        // 64 looks, then only where something is due.
        #expect(shelves.looks.withLockedValue { $0.count } <= 64 + 2 * 3)
    }

    @Test func partitionsThatAreAwayAreLeftOut() async throws {
        let shelves = Shelves([5: [one: 2], 40: [one: 2]], away: [40])
        let batch = try await shelves.look([one: 20])
        #expect(batch.due.count == 2)
        #expect(batch.nextDueIn == .seconds(1), "it looks again soon")
        let all = Shelves([:], away: Set(0..<64))
        let error = await #expect(throws: StoreError.self) { _ = try await all.look([one: 20]) }
        #expect(error?.code == .unavailable)
    }

    @Test func theNumberIsWrittenOnceAndReadByAll() async throws {
        try await StoreFixture.run(partitions: 64) { fixture in
            #expect(try await fixture.redis("HGET", fixture.link.keys.meta, "partitions").int == 64)
            // Another instance would make a new store with one partition; this one is there.
            let other = RedisLink(
                client: fixture.client, keys: Keys(partitions: 1), ring: fixture.link.ring, clock: fixture.link.clock)
            #expect(other.keys.partitions == 1)
            try await StoreMeta.open(other)
            #expect(other.keys.partitions == 64)
            try await fixture.add("a")
            let reader = RedisAccountStore(link: other, origin: StoreFixture.instance)
            #expect(try await reader.read(AccountID("a")) != nil)
            #expect(try await fixture.redis("HGET", fixture.link.keys.meta, "partitions").int == 64)

            _ = try await fixture.redis("HSET", fixture.link.keys.meta, "partitions", "0")
            let third = RedisLink(
                client: fixture.client, keys: Keys(partitions: 1), ring: fixture.link.ring, clock: fixture.link.clock)
            let error = await #expect(throws: StoreError.self) { try await StoreMeta.open(third) }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func aThrottledProviderIsPausedInAllPartitions() async throws {
        try await StoreFixture.run(partitions: 64) { fixture in try await pauses(fixture) }
    }

    @Test func aNewStoreOnAClusterHas64() throws {
        #expect(Keys.partitions(on: try RedisConfiguration(url: "redis+cluster://h").deployment) == 64)
        #expect(Keys.partitions(on: try RedisConfiguration(url: "redis+sentinel://h/main").deployment) == 1)
        #expect(Keys.partitions(on: try RedisConfiguration(url: "redis://h").deployment) == 1)
    }
}

/// All accounts of a provider are put off by what one of them was told.
func pauses(_ fixture: StoreFixture) async throws {
    let names = (0..<40).map { "account-\($0)" }
    for name in names { try await fixture.add(name, dueIn: .zero) }
    _ = try await fixture.begin(names[0], "attempt-1")
    _ = try await fixture.settle(
        names[0], "attempt-1", generation: 1, .released, kind: .throttled, retryAfter: .seconds(60),
        pause: .seconds(600))
    // Another that was under way with it was told less: the longer pause stands, everywhere.
    _ = try await fixture.settle(
        names[1], "attempt-1", generation: 1, .released, kind: .throttled, pause: .milliseconds(1))
    for name in names { #expect(try await fixture.begin(name, "attempt-2", ignoresBackoff: true).word == "paused") }
    let batch = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 10], hold: .seconds(30))
    #expect(batch.due.isEmpty)
    let wait = try #require(batch.nextDueIn)
    #expect(wait > .seconds(300) && wait <= .seconds(600))
}
