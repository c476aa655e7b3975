import Testing

@testable import RefreshCore

/// What an instance makes of what it hears of cool-downs, and of what it is told itself.
struct CooldownMemoryTests {
    private let now = WallTime(milliseconds: 1_800_000_000_000)
    private let key = CooldownKey(account: try! AccountID("a"))

    private func cooldown(_ seconds: Int64, of key: CooldownKey? = nil) -> Cooldown {
        Cooldown(key: key ?? self.key, since: now, until: now + .seconds(seconds), isTold: true)
    }

    private func set(_ seconds: Int64, _ version: Int64) -> Versioned<CooldownChange> {
        Versioned(.set(cooldown(seconds)), version: version)
    }

    private func order(until seconds: Int64? = nil) -> CooldownOrder {
        CooldownOrder(
            pool: warp, key: key, until: seconds.map { now + .seconds($0) }, first: .seconds(60),
            longest: .seconds(3600), limit: .seconds(86_400), cause: "429")
    }

    private func fail(_ memory: inout CooldownMemory, _ id: UInt64) -> Bool { memory.failed(id, key) }

    private func left(_ memory: inout CooldownMemory, _ time: Duration) -> [(id: UInt64, order: CooldownOrder)] {
        memory.unsent(at: now + time)
    }

    private func end(_ memory: CooldownMemory) -> Duration? { memory.all[key].map { $0.until - now } }

    @Test("what is newer counts, in whatever order it comes in")
    func order() throws {
        let news = [set(10, 101), Versioned(.ended(key), version: 102), set(300, 103), set(500, 104)]
        // Every order of the four.
        func orders(_ rest: [Versioned<CooldownChange>]) -> [[Versioned<CooldownChange>]] {
            guard rest.count > 1 else { return [rest] }
            return rest.indices.flatMap { index -> [[Versioned<CooldownChange>]] in
                var others = rest
                let first = others.remove(at: index)
                return orders(others).map { [first] + $0 }
            }
        }
        let all = orders(news)
        #expect(all.count == 24)
        for order in all {
            var memory = CooldownMemory()
            memory.replace(Versioned([], version: 100), now: now)
            for one in order { memory.apply(one, now: now) }
            #expect(end(memory) == .seconds(500))
        }
        var memory = CooldownMemory()
        memory.apply(Versioned(.ended(key), version: 105), now: now)
        let isNews = memory.apply(set(500, 104), now: now)
        #expect(!isNews, "a late reply brings back nothing")
        #expect(memory.all.isEmpty)
    }

    @Test("a reading does not undo what was heard while it was made, and ends what it does not know")
    func reading() throws {
        let other = CooldownKey(account: try AccountID("b"))
        var memory = CooldownMemory()
        memory.apply(set(300, 105), now: now)
        memory.apply(Versioned(.set(cooldown(300, of: other)), version: 99), now: now)
        memory.replace(Versioned([cooldown(10)], version: 104), now: now)
        #expect(end(memory) == .seconds(300))
        #expect(memory.all[other] == nil)
        var isNews = memory.apply(Versioned(.set(cooldown(300, of: other)), version: 103), now: now)
        #expect(!isNews, "older than the reading")
        // After a lost connection the store may have gone back: what it says then counts.
        memory.forgetVersions()
        memory.replace(Versioned([], version: 90), now: now)
        #expect(memory.all.isEmpty)
        isNews = memory.apply(set(20, 91), now: now)
        #expect(isNews)
    }

    @Test("what this instance was told holds until the store has taken it, whatever is read and heard of earlier")
    func own() throws {
        var memory = CooldownMemory()
        var ids: [UInt64] = []
        guard
            case .begun = memory.begin(
                order(), now: now,
                send: {
                    ids.append($0); return Task {}
                })
        else {
            Issue.record("the store has to be told")
            return
        }
        #expect(end(memory) == .seconds(60))
        // A read that began before; and a success that was reported before.
        memory.replace(Versioned([], version: 100), now: now)
        #expect(end(memory) == .seconds(60))
        memory.apply(Versioned(.ended(key), version: 101), now: now)
        #expect(end(memory) == .seconds(60))
        // Others say the same meanwhile, and wait for the one that tells the store.
        guard case .joined = memory.begin(order(), now: now + .seconds(1), send: { _ in Task {} }) else {
            Issue.record("told twice")
            return
        }
        memory.confirmed(ids[0], Versioned(cooldown(61), version: 102), now: now)
        #expect(end(memory) == .seconds(61))
        guard case .known = memory.begin(order(), now: now + .seconds(1), send: { _ in Task {} }) else {
            Issue.record("the store knows it")
            return
        }
        // A reply that is older than what was announced meanwhile.
        memory.apply(set(500, 104), now: now)
        memory.confirmed(ids[0], Versioned(cooldown(61), version: 103), now: now)
        #expect(end(memory) == .seconds(500))
    }

    @Test("what could not be told waits, keeps its end and that it was guessed, and gives way to a person")
    func unsent() throws {
        var memory = CooldownMemory()
        var ids: [UInt64] = []
        _ = memory.begin(
            order(), now: now,
            send: {
                ids.append($0); return Task {}
            })
        #expect(self.left(&memory, .zero).isEmpty, "it is on its way")
        #expect(fail(&memory, ids[0]))
        let left = self.left(&memory, .seconds(20))
        #expect(left.map(\.id) == ids)
        // Told late, it ends when it would have ended, and is still a guess that may be tried before its end.
        let told = try #require(left.first?.order).apply(to: nil, now: now + .seconds(20))
        #expect(told.until == now + .seconds(60) && !told.isTold)
        // While the store is away nobody waits for it.
        guard case .known = memory.begin(order(), now: now + .seconds(20), send: { _ in Task {} }) else {
            Issue.record("it is known that the store is away")
            return
        }
        memory.apply(Versioned(.ended(key), version: 7), now: now)
        #expect(self.left(&memory, .seconds(20)).isEmpty)
        #expect(memory.all.isEmpty)
        #expect(!fail(&memory, ids[0]), "nobody waits for it any more")
        // What is over is not told.
        _ = memory.begin(
            order(), now: now,
            send: {
                ids.append($0); return Task {}
            })
        #expect(fail(&memory, ids[1]))
        #expect(self.left(&memory, .seconds(61)).isEmpty)
        #expect(memory.all.isEmpty, "nor remembered: the store has nothing that a success could clear")
    }

    @Test("callers name models and scopes as they like: memory is bounded, and keeps what lasts longest")
    func bounded() throws {
        var memory = CooldownMemory()
        for number in 0..<(CooldownMemory.most + 100) {
            let key = CooldownKey(account: key.account, dimension: "model-\(number)")
            memory.apply(
                Versioned(.set(cooldown(Int64(number + 1), of: key)), version: Int64(number + 1) * 1000), now: now)
        }
        #expect(memory.all.count <= CooldownMemory.most + 1)
        let last = CooldownKey(account: key.account, dimension: "model-\(CooldownMemory.most + 99)")
        #expect(memory.all[last] != nil)
    }
}
