import RedisClient
import RefreshCore
import Testing

@testable import RedisStore

/// Cool-downs and concurrent calls of pools, on a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct CooldownStoreTests {
    private let warp = try! PoolName("warp")
    private let key = CooldownKey(account: try! AccountID("a"))
    private let model = CooldownKey(account: try! AccountID("a"), dimension: "gpt 5/ü%")

    private func order(
        _ key: CooldownKey? = nil, until: WallTime? = nil, first: Duration = .seconds(60),
        longest: Duration = .seconds(3600), cause: String = "HTTP 429: used up"
    ) -> CooldownOrder {
        CooldownOrder(
            pool: warp, key: key ?? self.key, until: until, first: first, longest: longest, limit: .seconds(86_400),
            cause: cause)
    }

    /// Moves what is stored back in time, as if so much had passed.
    private func age(_ key: CooldownKey, by time: Duration, _ fixture: StoreFixture) async throws {
        let hash = fixture.link.keys.cooldowns(warp)
        let field = CooldownText.field(key)
        let text = try #require(try await fixture.redis("HGET", hash, field).string)
        let old = try #require(CooldownText.cooldown(field: field, value: text))
        _ = try await fixture.redis(
            "HSET", hash, field,
            "v1 \((old.since - time).milliseconds) \((old.until - time).milliseconds) \(old.repeats) "
                + "\(old.isTold ? 1 : 0) \(old.probe?.rawValue ?? "-") \(old.cause)")
    }

    @Test func theScriptFollowsTheRule() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            #expect(try await store.cooldowns(of: warp).value.isEmpty)
            let cooled = try await fixture.timed { try await store.cool(order()).value }
            let (first, now) = (cooled.value, cooled.times.upperBound)
            #expect(first == order().apply(to: nil, now: first.since))
            #expect(first.until - first.since == .seconds(60))
            #expect(cooled.times.contains(first.since))
            // The same quota, again.
            #expect(try await store.cool(order(cause: "another call")).value == first)
            // Over, and again, and again: it grows to its longest.
            var last = first
            var lengths: [Duration] = []
            for _ in 0..<7 {
                try await age(key, by: last.until - last.since + .seconds(1), fixture)
                let old = try #require(try await store.cooldowns(of: warp).value.first)
                last = try await store.cool(order()).value
                #expect(last == order().apply(to: old, now: last.since))
                lengths.append(last.until - last.since)
            }
            #expect(lengths == [120, 240, 480, 960, 1920, 3600, 3600].map { .seconds($0) })
            #expect(last.repeats == 8)
            // What is told counts before a guess, within its bounds.
            for until in [now + .seconds(5000), now + .seconds(6000), now + .seconds(4000), now + .seconds(99_999_999)]
            {
                let before = last
                let told = order(until: until)
                last = try await store.cool(told).value
                let (low, high) = (
                    told.apply(to: before, now: try await fixture.now() - .seconds(30)),
                    told.apply(to: before, now: try await fixture.now())
                )
                #expect((low.until...high.until).contains(last.until))
                #expect(last.isTold && last.since == before.since && last.repeats == 8)
            }
        }
    }

    @Test func dimensionsAndPoolsAreApart() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            let cooldown = try await store.cool(order(model)).value
            #expect(cooldown.key == model)
            #expect(try await store.cooldowns(of: warp).value == [cooldown])
            _ = try await store.cool(order())
            #expect(Set(try await store.cooldowns(of: warp).value.map(\.key)) == [key, model])
            #expect(try await store.cooldowns(of: try PoolName("other")).value.isEmpty)
            #expect(
                try await store.release([model, CooldownKey(account: try AccountID("b"))], of: warp).value == [model])
            #expect(try await store.cooldowns(of: warp).value.map(\.key) == [key])
        }
    }

    @Test func oneTryOfOneInstanceWhenHalfOfAGuessIsOver() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            let (one, two) = (AttemptID(rawValue: "one"), AttemptID(rawValue: "two"))
            #expect(try await store.probe(key, of: warp, attempt: one) == nil, "there is none")
            _ = try await store.cool(order(first: .seconds(3600)))
            try await age(key, by: .seconds(1200), fixture)
            #expect(try await store.probe(key, of: warp, attempt: one) == nil, "too early")
            try await age(key, by: .seconds(900), fixture)
            let granted: [Cooldown] = try await withThrowingTaskGroup(of: Cooldown?.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        try await store.probe(key, of: warp, attempt: AttemptID(rawValue: "try-\(number)"))?.value
                    }
                }
                return try await group.reduce(into: []) { if let cooldown = $1 { $0.append(cooldown) } }
            }
            let probe = try #require(granted.first?.probe)
            #expect(granted.count == 1)
            // Nobody else's success ends it.
            #expect(try await store.worked([key], of: warp, attempt: nil).value.isEmpty)
            #expect(try await store.worked([key], of: warp, attempt: two).value.isEmpty)
            #expect(try await store.probe(key, of: warp, attempt: probe)?.value == granted.first, "its reply was lost")
            #expect(try await store.worked([key], of: warp, attempt: probe).value == [key])
            #expect(try await store.cooldowns(of: warp).value.isEmpty)
            // One whose end was told is not tried.
            _ = try await store.cool(order(until: try await fixture.now() + .seconds(3600)))
            try await age(key, by: .seconds(3000), fixture)
            #expect(try await store.probe(key, of: warp, attempt: one) == nil)
        }
    }

    @Test func aSuccessForgetsWhatIsOver() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            _ = try await store.cool(order())
            try await age(key, by: .seconds(61), fixture)
            #expect(
                try await store.worked([key, model], of: warp, attempt: nil).value == [key, model], "neither is there")
            #expect(try await store.cool(order()).value.repeats == 1)
            _ = try await fixture.redis("HSET", fixture.link.keys.cooldowns(warp), "b", "v9 of a newer version")
            #expect(try await store.cooldowns(of: warp).value.map(\.key) == [key])
            #expect(try await store.release([CooldownKey(account: try AccountID("b"))], of: warp).value.count == 1)
        }
    }

    @Test func repetitionsAreForgottenSomeTimeAfterTheEnd() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            for number in 0..<150 {
                _ = try await store.cool(
                    order(
                        CooldownKey(account: try AccountID("old-\(number)")), first: .seconds(3600)))
            }
            let forgotten = fixture.link.keys.cooldownsForgotten(warp)
            for number in 0..<150 { _ = try await fixture.redis("ZADD", forgotten, 1000 + number, "old-\(number)") }
            // Each that is begun sweeps some of them away.
            _ = try await store.cool(order())
            #expect(try await store.cooldowns(of: warp).value.count == 51)
            _ = try await store.cool(order(model))
            #expect(Set(try await store.cooldowns(of: warp).value.map(\.key)) == [key, model])
            #expect(try await fixture.redis("ZCARD", forgotten).int == 2)
        }
    }

    /// Whatever comes in whatever order: the script and the rule that instances follow without it say the same.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func theScriptIsTheRule(seed: UInt64) async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            var generator = SplitMix64(seed: seed)
            func pick<Value>(_ values: [Value]) -> Value { values[Int(generator.next() % UInt64(values.count))] }
            var version: Int64 = 0
            for step in 0..<150 {
                let now = try await fixture.now()
                let old = try await store.cooldowns(of: warp).value.first { $0.key == key }
                var order = order(
                    until: pick([nil, nil, -20, 0, 10, 40, 100, 5000, 90_000_000]).map { now + .seconds($0) },
                    first: pick([.seconds(10), .seconds(60)]), longest: .seconds(300), cause: "step \(step)")
                order.mayShorten = pick([true, false])
                order.replaces = pick([true, false, false, false])
                order.accountSince = pick([nil, nil, -1000, -20]).map { now + .seconds($0) }
                order.guess = pick([nil, nil, -20, 30, 90]).map { now + .seconds($0) }
                let new = try await store.cool(order)
                let after = try await fixture.now()
                let what = Comment(rawValue: "seed \(seed), step \(step): \(order) on \(String(describing: old))")
                // The script read its clock at one of these times; what runs at the first may be over at the last.
                let times = (now.milliseconds...after.milliseconds).map { WallTime(milliseconds: $0) }
                #expect(times.contains { order.apply(to: old, now: $0) == new.value }, what)
                #expect(new.value == old ? new.version == version : new.version > version, what)
                version = new.version
                let stored = try await store.cooldowns(of: warp)
                #expect(stored.value == [new.value] && stored.version == version, what)
                try await age(key, by: .seconds(pick([0, 5, 35, 70, 400])), fixture)
            }
        }
    }

    @Test func versionsGrowWhateverHappensAndSurviveTheLossOfWhatIsStored() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            var versions = [try await store.cooldowns(of: warp).version]
            versions.append(try await store.cool(order()).version)
            try await age(key, by: .seconds(31), fixture)
            let attempt = AttemptID(rawValue: "1")
            versions.append(try #require(try await store.probe(key, of: warp, attempt: attempt)).version)
            versions.append(try await store.worked([key], of: warp, attempt: attempt).version)
            #expect(
                try await store.worked([key], of: warp, attempt: nil).version == versions.last, "nothing has changed")
            versions.append(try await store.cool(order(model)).version)
            #expect(try await store.cooldowns(of: warp).version == versions.last)
            versions.append(try await store.release([model], of: warp).version)
            // Somebody deletes it all.
            _ = try await fixture.redis("DEL", fixture.link.keys.cooldowns(warp))
            versions.append(try await store.cool(order()).version)
            #expect(versions == versions.sorted() && Set(versions).count == versions.count)
            // A clock that was set back: they count on.
            let ahead = versions[versions.count - 1] + 3_600_000
            _ = try await fixture.redis("HSET", fixture.link.keys.cooldowns(warp), CooldownText.version, "\(ahead)")
            #expect(try await store.cool(order(model)).version == ahead + 1)
        }
    }

    @Test func modelsAndScopesOfAPoolAreBounded() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            let end = try await fixture.now() + .seconds(80_000)
            _ = try await store.cool(order(until: end))
            for start in stride(from: 0, to: CooldownLimits.mostWithDimension + 200, by: 100) {
                try await withThrowingTaskGroup { group in
                    for number in start..<(start + 100) {
                        let key = CooldownKey(account: key.account, dimension: "model \(number)")
                        group.addTask { _ = try await store.cool(order(key)) }
                    }
                    try await group.waitForAll()
                }
            }
            let kept = try await store.cooldowns(of: warp).value
            #expect(
                kept.count <= CooldownLimits.mostWithDimension && kept.count > CooldownLimits.mostWithDimension - 20)
            #expect(kept.contains { $0.key == key }, "those go that end first")
            // And so many can be let go.
            #expect(try await store.release(kept.map(\.key), of: warp).value.count == kept.count)
            #expect(try await store.cooldowns(of: warp).value.isEmpty)
        }
    }

    @Test(arguments: [
        CooldownKey(account: try! AccountID("a")), CooldownKey(account: try! AccountID("a:b@c+d.e-f_g")),
        CooldownKey(account: try! AccountID("a"), dimension: "gpt-5"),
        CooldownKey(account: try! AccountID("a"), dimension: " /%\u{1F9CA}ü\"'%20 -"),
    ])
    func textsAreReadAsTheyAreWritten(key: CooldownKey) throws {
        let field = CooldownText.field(key)
        #expect(!field.contains(" "))
        #expect(CooldownText.key(field) == key)
        #expect(CooldownText.change(field: field, value: "-") == .ended(key))
        let text = "v1 1000 61000 3 0 - HTTP 429: 'all  used up'"
        let cooldown = try #require(CooldownText.cooldown(field: field, value: text))
        #expect(cooldown.key == key && cooldown.cause == "HTTP 429: 'all  used up'" && cooldown.repeats == 3)
        #expect(cooldown.since.milliseconds == 1000 && cooldown.until.milliseconds == 61_000)
        #expect(cooldown.probe == nil && !cooldown.isTold)
        #expect(CooldownText.change(field: field, value: text) == .set(cooldown))
        for other in ["v2 1000 61000 3 0 -", "v1 1000 61000 0 0 -", "v1 1000 61000 3 0", "v1 x 61000 3 0 -", ""] {
            #expect(CooldownText.cooldown(field: field, value: other) == nil)
        }
        #expect(CooldownText.key(CooldownText.version) == nil)
    }

    @Test func changesAreAnnouncedAndOlderVersionsReadThemAsNothing() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            let feed = RedisChangeFeed(link: fixture.link)
            var signals = feed.signals().makeAsyncIterator()
            #expect(await signals.next() == .connected)
            let cooldown = try await store.cool(order(model))
            #expect(
                await signals.next()
                    == .cooldownChanged(warp, Versioned(.set(cooldown.value), version: cooldown.version)))
            // Nothing has changed, nothing is told.
            _ = try await store.cool(order(model))
            let ended = try await store.release([model], of: warp)
            #expect(ended.value == [model] && ended.version > cooldown.version)
            #expect(await signals.next() == .cooldownChanged(warp, Versioned(.ended(model), version: ended.version)))
            for text in [
                "cooldown warp a/\("%20") 1 v1 1 2 0 0 -", "cooldown warp a 1 v2 1 2 3", "cooldown warp a 1 b",
                "cooldown wa/rp a 1 -", "cooldown warp a one -", "cooldown warp a -", "cooldown warp",
            ] {
                #expect(RedisChangeFeed.signal(Array(text.utf8)) == nil, "\(text)")
            }
        }
    }

    @Test func aClockThatWasSetBackKeepsNobodyOut() async throws {
        try await StoreFixture.run { fixture in
            let store = RedisCooldownStore(link: fixture.link)
            _ = try await store.cool(order())
            try await age(key, by: .seconds(-366 * 86_400), fixture)
            let next = try await store.cool(order()).value
            #expect(next.until <= (try await fixture.now()) + .seconds(120))
            let slots = RedisSlotStore(link: fixture.link)
            let account = try AccountID("a")
            let year = (try await fixture.now() + .seconds(366 * 86_400)).milliseconds
            _ = try await fixture.redis("ZADD", fixture.link.keys.slots(warp, account), year, "old")
            #expect(
                try await slots.take(
                    AttemptID(rawValue: "1"), of: [account], in: warp, most: 1, ttl: .seconds(60)) == account)
        }
    }

    @Test func aCallThatGoesOnKeepsItsSlot() async throws {
        try await StoreFixture.run { fixture in
            let slots = RedisSlotStore(link: fixture.link)
            let account = try AccountID("a")
            let (call, other) = (AttemptID(rawValue: "1"), AttemptID(rawValue: "2"))
            #expect(try await slots.take(call, of: [account], in: warp, most: 1, ttl: .seconds(600)) == account)
            #expect(try await slots.renew(call, of: account, in: warp, ttl: .seconds(3600)))
            let set = fixture.link.keys.slots(warp, account)
            let ends = try #require(try await fixture.redis("ZSCORE", set, "1").string.flatMap { Double($0) })
            #expect(ends > Double((try await fixture.now() + .seconds(3000)).milliseconds))
            #expect(try await fixture.redis("PTTL", set).int ?? 0 > 3_000_000)
            #expect(try await slots.take(other, of: [account], in: warp, most: 1, ttl: .seconds(20)) == nil)
            try await slots.free(call, of: account, in: warp)
            #expect(try await !slots.renew(call, of: account, in: warp, ttl: .seconds(20)))
            #expect(try await slots.take(other, of: [account], in: warp, most: 1, ttl: .seconds(20)) == account)
        }
    }

    @Test func concurrentCallsAreCountedAndEnd() async throws {
        try await StoreFixture.run { fixture in
            let slots = RedisSlotStore(link: fixture.link)
            let accounts = [try AccountID("a"), try AccountID("b")]
            let pool = warp
            let taken: [AccountID] = try await withThrowingTaskGroup(of: AccountID?.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        try await slots.take(
                            AttemptID(rawValue: "\(number)"), of: accounts, in: pool, most: 3, ttl: .seconds(60))
                    }
                }
                return try await group.reduce(into: []) { if let account = $1 { $0.append(account) } }
            }
            #expect(accounts.map { account in taken.count { $0 == account } } == [3, 3])
            let set = fixture.link.keys.slots(warp, accounts[1])
            let holder = try #require(try await fixture.redis("ZRANGE", set, 0, 0).array?.first?.string)
            try await slots.free(AttemptID(rawValue: holder), of: accounts[1], in: warp)
            func take(_ attempt: String, _ ttl: Duration) async throws -> AccountID? {
                try await slots.take(AttemptID(rawValue: attempt), of: accounts, in: pool, most: 3, ttl: ttl)
            }
            #expect(try await take("short", .milliseconds(50)) == accounts[1])
            #expect(try await fixture.redis("PTTL", set).int ?? 0 > 10_000, "a short one does not end the others")
            let deadline = ContinuousClock.now + .seconds(60)
            while try await take("next", .seconds(60)) == nil, ContinuousClock.now < deadline {}
            #expect(try await fixture.redis("ZSCORE", set, "short").string == nil)
            #expect(try await take("late", .seconds(60)) == nil)
        }
    }
}
