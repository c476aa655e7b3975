import Testing

@testable import RefreshCore

/// The strategies, over many seeds.
struct PoolTurnsTests {
    private let tier = PoolFixture.tier("shared")
    private let now = WallTime(milliseconds: 1_800_000_000_000)

    private func accounts(_ names: [String], weights: [String: String] = [:]) throws -> [PoolEntry] {
        try names.map { name in
            var account = AccountSnapshot(
                id: try accountID(name), provider: acme, generation: Generation(1), createdAt: now, updatedAt: now)
            if let weight = weights[name] { account.labels = try AccountLabels(["weight": weight]) }
            return PoolEntry(account)
        }
    }

    private func take(
        _ turns: inout PoolTurns, _ accounts: [PoolEntry], session: String? = nil
    ) throws -> String {
        let next = try #require(turns.order(accounts, tier: tier, session: session, most: 1).first)
        turns.take(next.id, of: accounts, tier: tier)
        return next.id.rawValue
    }

    @Test("round_robin goes round, wherever it begins, and closes up where one is missing", arguments: 0..<20)
    func roundRobin(seed: UInt64) throws {
        let all = try accounts(["a", "b", "c", "d"])
        var turns = PoolTurns(strategy: .roundRobin, seed: seed)
        let first = try (0..<4).map { _ in try take(&turns, all) }
        #expect(Set(first).count == 4)
        #expect(try (0..<4).map { _ in try take(&turns, all) } == first)
        // After c comes d; without d, a.
        while try take(&turns, all) != "c" {}
        #expect(try take(&turns, Array(all.prefix(3))) == "a")
        #expect(turns.order(all, tier: tier, session: nil, most: 3).map(\.id.rawValue) == ["b", "c", "d"])
    }

    @Test("instances begin at different accounts")
    func seeds() throws {
        let all = try accounts(["a", "b", "c", "d"])
        for strategy in [PoolStrategy.roundRobin, .leastRecentlyUsed, .weighted] {
            let firsts = try (0..<50).map { seed in
                var turns = PoolTurns(strategy: strategy, seed: UInt64(seed))
                return try take(&turns, all)
            }
            #expect(Set(firsts).count == 4, "\(strategy)")
        }
    }

    @Test("least_recently_used takes the one that has not been taken for longest", arguments: 0..<20)
    func leastRecentlyUsed(seed: UInt64) throws {
        let all = try accounts(["a", "b", "c"])
        var turns = PoolTurns(strategy: .leastRecentlyUsed, seed: seed)
        #expect(Set(try (0..<3).map { _ in try take(&turns, all) }).count == 3)
        // Only these two for a while: c is the one that has waited longest then.
        for _ in 0..<4 { _ = try take(&turns, Array(all.prefix(2))) }
        #expect(try take(&turns, all) == "c")
        // A new one has never been used.
        #expect(try take(&turns, try accounts(["a", "b", "c", "d"])) == "d")
    }

    @Test("fill_first stays with the first one")
    func fillFirst() throws {
        let all = try accounts(["a", "b", "c"])
        var turns = PoolTurns(strategy: .fillFirst, seed: 7)
        #expect(try (0..<3).map { _ in try take(&turns, all) } == ["a", "a", "a"])
        #expect(try take(&turns, Array(all.dropFirst())) == "b")
    }

    @Test("weighted takes in proportion, evenly spread; 0 only where nothing else is left", arguments: 0..<20)
    func weighted(seed: UInt64) throws {
        let all = try accounts(["a", "b", "c", "d"], weights: ["a": "5", "c": "0", "d": "many"])
        var turns = PoolTurns(strategy: .weighted, seed: seed)
        for _ in 0..<10 {
            let round = try (0..<7).map { _ in try take(&turns, all) }
            #expect(round.count { $0 == "a" } == 5)
            #expect(round.count { $0 == "b" } == 1)
            #expect(round.count { $0 == "d" } == 1, "what is no number counts as 1")
        }
        let zeros = try accounts(["c", "e"], weights: ["c": "0", "e": "0"])
        #expect(Set(try (0..<50).map { _ in try take(&turns, zeros) }).isSubset(of: ["c", "e"]))
    }

    @Test("sticky gives a session the same account on every instance, and moves only those of one that is gone")
    func sticky() throws {
        let all = try accounts((0..<10).map { "account-\($0)" })
        var (one, other) = (PoolTurns(strategy: .sticky, seed: 1), PoolTurns(strategy: .sticky, seed: 99))
        let gone = all[3]
        let rest = all.filter { $0.id != gone.id }
        var counts: [String: Int] = [:]
        for number in 0..<1000 {
            let session = "session-\(number)"
            let first = try take(&one, all, session: session)
            #expect(try take(&other, all, session: session) == first)
            counts[first, default: 0] += 1
            if first != gone.id.rawValue { #expect(try take(&one, rest, session: session) == first) }
        }
        #expect(counts.count == 10)
        #expect(counts.values.allSatisfy { (50...160).contains($0) }, "\(counts)")
        // Without a session it goes round.
        #expect(Set(try (0..<10).map { _ in try take(&one, all) }).count == 10)
    }
}
