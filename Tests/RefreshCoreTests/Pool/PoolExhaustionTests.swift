import PerennialTesting
import RefreshCore
import Testing

/// When no account is left, or the store is away.
@Suite(.timeLimit(.minutes(10)))
struct PoolExhaustionTests {
    private static let failure = AcquisitionFailure(.refused, step: "create", "HTTP 403")

    private func spend(_ site: PoolSite, _ count: Int, until: WallTime? = nil) async throws {
        for _ in 0..<count { try await site.report(.quota, try await site.pick(), until: until) }
    }

    /// Whether the wait is that, or a little longer: so that not everybody comes back at once.
    private func isAbout(_ wait: Duration, _ told: Duration?) -> Bool {
        told.map { (wait...wait + wait / 10).contains($0) } ?? false
    }

    @Test("the error says why, and when the first account is back")
    func words() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await site.add("b")
        try await site.report(.quota, try await site.pick(), until: site.time.wall() + .seconds(300))
        try await site.report(.quota, try await site.pick(), until: site.time.wall() + .seconds(100))
        let failure = try #require(await site.failure())
        #expect(failure.kind == .exhausted)
        #expect(failure.message == "no account of pool warp is available: 2 are cooling down")
        #expect(failure.nextAt == site.time.wall() + .seconds(100))
        #expect(isAbout(.seconds(100), failure.retryAfter))
        #expect(!failure.isAcquiring)
    }

    @Test("where nobody knows when, it still says when to come back")
    func unknown() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await site.edit("a", AccountEdit(enabled: false))
        let failure = try #require(await site.failure())
        #expect(failure.nextAt == nil)
        #expect(isAbout(.seconds(60), failure.retryAfter))
    }

    @Test("a new account is acquired while callers wait, once for all of them, and they get its token")
    func acquires() async throws {
        let site = try await PoolSite(instances: 2, acquires: [.success("new")])
        try await site.add("a")
        try await spend(site, 1)
        // The store lets one instance at it.
        let until = site.time.wall() + .seconds(40)
        site.permits.permit(.granted, .underWay(until: until), .underWay(until: until), .underWay(until: until))
        let picks: [PoolPick] = try await withThrowingTaskGroup(of: PoolPick.self) { group in
            for number in 0..<60 { group.addTask { try await site.pick(on: number % 2) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(picks.allSatisfy { $0.account.rawValue == "new" && !$0.answer.accessToken.isEmpty })
        #expect(picks.allSatisfy { $0.tier.rawValue == "anonymous" })
        #expect(site.acquirer.runs == 1)
        #expect(site.fleet.endpoint.uses.count == 1, "its first refresh")
        // And not again while it is there.
        #expect(try await site.name() == "new")
        #expect(site.acquirer.runs == 1)
    }

    @Test("what a request excludes itself is not spent: nothing is acquired for it")
    func excluded() async throws {
        let site = try await PoolSite(acquires: [.success("new")])
        try await site.add("a")
        await #expect(throws: PoolFailure.self) { try await site.pick(excluding: ["a"]) }
        #expect(site.acquirer.runs == 0)
    }

    @Test("an acquisition that fails: an error with its reason, and nobody asks again for a while")
    func fails() async throws {
        let site = try await PoolSite(acquires: [.failure(Self.failure)])
        try await site.add("a")
        try await spend(site, 1)
        let failure = try #require(await site.failure())
        #expect(failure.message.contains("1 is cooling down"))
        #expect(failure.message.contains("no new one is acquired: step create: HTTP 403"))
        #expect(isAbout(.seconds(60), failure.retryAfter))
        let claims = site.permits.claims
        for _ in 0..<50 { #expect(await site.failure() != nil) }
        #expect(site.permits.claims == claims)
        // The store says when the next one may be.
        site.permits.permit(.notBefore(site.time.wall() + .seconds(25), reason: "step create: HTTP 403"))
        site.time.advance(by: .seconds(2))
        let next = try #require(await site.failure())
        #expect(next.nextAt == site.time.wall() + .seconds(23))
        #expect(isAbout(.seconds(23), next.retryAfter))
    }

    @Test("where the next acquisition may be started soon it is waited for")
    func soon() async throws {
        let site = try await PoolSite(acquires: [.success("new")])
        try await site.add("a")
        try await spend(site, 1)
        site.permits.permit(.notBefore(site.time.wall() + .seconds(2), reason: ""))
        let sleeps = site.time.sleepsStarted
        let waiting = Task { try await site.name() }
        await site.time.waitForSleeper(after: sleeps)
        #expect(site.acquirer.runs == 0)
        site.time.advance(by: .seconds(2))
        #expect(try await waiting.value == "new")
    }

    @Test("another instance is at it: it is waited for, for a bounded time, and its account is taken when it comes")
    func underWayElsewhere() async throws {
        let site = try await PoolSite(acquires: []) { $0.acquisitionWait = .seconds(3) }
        try await site.add("a")
        try await spend(site, 1)
        let until = site.time.wall() + .seconds(40)
        site.permits.permit(.underWay(until: until), .underWay(until: until), .underWay(until: until))
        let sleeps = site.time.sleepsStarted
        let waiting = Task { try await site.name() }
        await site.time.waitForSleeper(after: sleeps)
        try await site.add("b")
        #expect(try await waiting.value == "b")

        try await spend(site, 1)
        site.permits.permit(.underWay(until: until), .underWay(until: until), .underWay(until: until))
        let before = site.time.sleepsStarted
        let failing = Task { await site.failure() }
        await site.time.waitForSleeper(after: before)
        site.time.advance(by: .seconds(2))
        await site.time.waitForSleeper(after: before + 1)
        site.time.advance(by: .seconds(1))
        let failure = try #require(await failing.value)
        #expect(failure.isAcquiring)
        #expect(isAbout(.seconds(5), failure.retryAfter))
    }

    @Test("the pool's own token is the last resort, marked with the reason")
    func fallback() async throws {
        let token = FallbackToken(token: Secret("stand-in"), pool: warp)
        let site = try await PoolSite(acquires: [.failure(Self.failure)], fallback: token)
        try await site.add("a")
        #expect(try await site.name() == "a")
        try await spend(site, 1)
        guard case .fallback(token, let reason) = try await site.desk.pick(PoolRequest(pool: warp)) else {
            Issue.record("no fallback")
            return
        }
        #expect(reason.kind == .exhausted)
        #expect(site.acquirer.runs == 1, "not before a new account was tried for")
    }

    @Test("one try is allowed when half of a guessed cool-down is over: one instance, one call; its success ends it")
    func probe() async throws {
        let site = try await PoolSite(instances: 3)
        try await site.add("a")
        try await spend(site, 1)
        #expect(await site.failure(on: 1) != nil)
        site.time.advance(by: .seconds(30))
        let picks: [PoolPick] = await withTaskGroup(of: PoolPick?.self) { group in
            for number in 0..<30 { group.addTask { try? await site.pick(on: number % 3) } }
            return await group.reduce(into: [PoolPick]()) { if let pick = $1 { $0.append(pick) } }
        }
        let pick = try #require(picks.first)
        #expect(picks.count == 1)
        #expect(pick.lease?.isProbe == true && pick.lease?.holdsSlot == false)
        // The success of somebody else's call, which began before, ends nothing.
        var other = pick
        other.lease = nil
        try await site.report(.ok, other, on: 1)
        #expect(await site.failure(on: 1) != nil)
        try await site.report(.ok, pick, on: 2)
        for instance in 0..<3 { #expect(try await site.name(on: instance) == "a") }
    }

    @Test("a try that fails leaves the cool-down as it is")
    func failedProbe() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await spend(site, 1)
        site.time.advance(by: .seconds(30))
        try await site.report(.quota, try await site.pick())
        site.time.advance(by: .seconds(29))
        #expect(await site.failure() != nil)
        site.time.advance(by: .seconds(1))
        #expect(try await site.name() == "a")
    }

    @Test("concurrent calls of an account are counted over all instances; they end by release or by themselves")
    func concurrentCalls() async throws {
        let site = try await PoolSite(instances: 2) { $0.maxConcurrent = 2 }
        try await site.add("a")
        try await site.add("b")
        var picks: [PoolPick] = []
        for number in 0..<4 { picks.append(try await site.pick(on: number % 2)) }
        #expect(picks.map(\.account.rawValue) == ["a", "a", "b", "b"])
        let failure = try #require(await site.failure(on: 1))
        #expect(failure.message.contains("2 have all the calls they may have"))
        #expect(failure.retryAfter == .seconds(1))
        await site.desk.release(try #require(picks[1].lease))
        // The other instance knows a moment later: it does not ask with every call whether a full account still is.
        let commands = site.cooldowns.commands
        for _ in 0..<20 { #expect(await site.failure(on: 1) != nil) }
        #expect(site.cooldowns.commands == commands)
        site.time.advance(by: .seconds(1))
        #expect(try await site.name(on: 1) == "a")
        #expect(await site.failure(on: 1) != nil)
        // Whoever held them is gone.
        site.time.advance(by: .seconds(600))
        #expect(site.cooldowns.inUse(try accountID("b"), of: warp) == 0)
        #expect(try await site.name(on: 1) == "a")
    }

    @Test("a slot of an account whose token cannot be had is given back")
    func slotGivenBack() async throws {
        let site = try await PoolSite { $0.maxConcurrent = 1 }
        let dead = try await site.add("dead", remaining: .seconds(-10))
        try await site.add("good")
        site.fleet.endpoint.script(.unsent, .unsent, for: dead)
        #expect(try await site.name() == "good")
        #expect(site.cooldowns.inUse(dead, of: warp) == 0)
    }

    @Test("a pool without a limit asks the store for nothing")
    func noLimit() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        let pick = try await site.pick()
        #expect(pick.lease == nil)
        #expect(site.cooldowns.commands == 1, "its cool-downs were read")
        #expect(await site.fleet.store.callCount(.read) == 0, "its token came with the pool")
    }

    @Test("while the store is away valid tokens are served, and a cool-down holds here until the fleet can be told")
    func storeAway() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        for _ in 0..<2 { _ = try await site.pick() }
        _ = try await site.pick(excluding: ["a"])
        await site.fleet.store.setDown(true)
        site.cooldowns.setDown(true)
        site.desk.subscriptionChanged(isUp: false)
        site.fleet.one.cache.subscriptionChanged(isUp: false)
        site.time.advance(by: .seconds(5))
        let pick = try await site.pick()
        #expect(pick.account.rawValue == "a")
        try await site.report(.quota, pick)
        for _ in 0..<5 {
            #expect(try await site.name() == "b")
            site.time.advance(by: .seconds(2))
        }
        await site.fleet.store.setDown(false)
        site.cooldowns.setDown(false)
        site.fleet.one.cache.subscriptionChanged(isUp: true)
        site.desk.subscriptionChanged(isUp: true)
        try await eventually("told") { try await !site.cooldowns.cooldowns(of: warp).value.isEmpty }
        #expect(try await site.name() == "b")
        #expect(try await site.name(on: 1) == "b")
    }

    @Test("nothing is known and the store is away: an error that says so, or the pool's own token")
    func nothingKnown() async throws {
        for fallback in [nil, FallbackToken(token: Secret("stand-in"), pool: warp)] {
            let site = try await PoolSite(fallback: fallback)
            await site.fleet.store.setDown(true)
            if fallback == nil {
                let failure = try #require(await site.failure())
                #expect(failure.kind == .storeUnavailable)
                #expect(failure.retryAfter == .seconds(1))
            } else {
                #expect(try await site.desk.pick(PoolRequest(pool: warp)).accessToken == Secret("stand-in"))
            }
        }
    }

    @Test("a person puts an account aside and takes it back")
    func byHand() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        let key = CooldownKey(account: try accountID("a"))
        _ = try await site.desk.status(of: warp)
        let commands = site.cooldowns.commands
        _ = try await site.desk.cool(key, in: warp, until: site.time.wall() + .seconds(3600), cause: "maintenance")
        #expect(site.cooldowns.commands == commands + 1, "in one step: at no time the account is free")
        #expect(try await site.name(on: 1) == "b")
        // Shorter counts, too.
        let shorter = try await site.desk.cool(
            key, in: warp, until: site.time.wall() + .seconds(60), cause: "maintenance")
        #expect(shorter.until == site.time.wall() + .seconds(60))
        #expect(try await site.desk.release(nil, in: warp) == [key])
        #expect(try await site.name(on: 1) == "a")
        #expect(try await site.desk.release(try accountID("b"), in: warp).isEmpty)
    }
}
