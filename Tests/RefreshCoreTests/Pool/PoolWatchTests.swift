import PerennialTesting
import RefreshCore
import Testing

@Suite(.timeLimit(.minutes(10)))
struct PoolWatchTests {
    private let time = ManualTimeSource()
    private let pools = FakePoolStore()
    private let cooldowns: ModelCooldowns

    private let edited = AccountChange(account: try! accountID("a"), generation: Generation(1), outcome: .edited)

    init() { cooldowns = ModelCooldowns(time: time) }

    private func member(
        _ id: String, _ status: AccountStatus = .active, life: Duration = .seconds(3600), enabled: Bool = true
    ) throws -> AccountSnapshot {
        var account = AccountSnapshot(
            id: try accountID(id), provider: acme, enabled: enabled, status: status, generation: Generation(1),
            createdAt: time.wall(), updatedAt: time.wall())
        account.pool = warp
        account.accessToken = Secret("token-\(id)")
        account.expiresAt = time.wall() + life
        return account
    }

    /// - Parameter interval: so long that what comes soon does not come of it.
    private func watch(
        _ keeper: AcquisitionKeeper? = nil, _ acquisition: AcquisitionLimits? = nil,
        interval: Duration = .seconds(3600), _ body: (PoolWatch) async throws -> Void
    ) async throws {
        let watch = PoolWatch(
            pools: [PoolSettings(name: warp, acquisition: acquisition)], store: pools, cooldowns: cooldowns,
            keeper: keeper, time: time, interval: interval, logger: CapturedLog().logger)
        let task = Task { await watch.run() }
        do {
            try await body(watch)
        } catch {
            task.cancel()
            throw error
        }
        task.cancel()
        await task.value
    }

    /// Lets time pass in steps until the condition holds, none of them beyond the time at which the watch is to wake up.
    private func pass(
        _ what: Comment, step: Duration = .milliseconds(50), until condition: () -> Bool
    ) async throws {
        try await eventually(what) {
            if condition() { return true }
            if let next = time.nextDeadline { time.advance(to: min(next, time.monotonic() + step)) }
            return false
        }
    }

    @Test("a pool is exhausted when none of its accounts can give a token, and a change is noticed at once")
    func exhausted() async throws {
        pools.set([try member("a"), try member("b", .reauthRequired)])
        try await watch { watch in
            try await pass("first look") { pools.notes.last == .init(isExhausted: false, available: 1) }
            pools.set([try member("a", .reauthRequired), try member("b", .active, enabled: false)])
            let start = time.monotonic()
            watch.accountChanged(edited)
            try await pass("second look") { pools.notes.last == .init(isExhausted: true, available: 0) }
            #expect(time.monotonic() - start < .seconds(1800))
            pools.set([try member("a")])
            watch.accountChanged(edited)
            try await pass("third look") { pools.notes.last == .init(isExhausted: false, available: 1) }
        }
    }

    @Test("an account that fails counts while its token lasts, and the look comes when it ends")
    func tokenEnds() async throws {
        let failing = try member("a", .degraded, life: .seconds(7))
        pools.set([failing])
        try await watch { _ in
            try await pass("first look") { pools.notes.last == .init(isExhausted: false, available: 1) }
            let start = time.monotonic()
            try await pass("its end") { pools.notes.last == .init(isExhausted: true, available: 0) }
            #expect(time.monotonic() - start < .seconds(1800))
        }
    }

    @Test("a pool that never had an account has not been used up")
    func empty() async throws {
        try await watch(interval: .seconds(30)) { _ in
            try await pass("two looks") { pools.looks >= 2 }
            #expect(pools.notes.isEmpty)
        }
    }

    @Test("an account is acquired as soon as too few are available, and no more than are needed")
    func acquires() async throws {
        let limits = AcquisitionLimits(tier: PoolFixture.tier("anonymous"), longestRun: .seconds(40))
        let fresh = AcquiredAccount(
            id: try accountID("new-1"), provider: acme, name: nil, credential: .refreshToken(Secret("refresh-1")))
        let acquirer = FakeAcquirer([.success(fresh)])
        let keeper = AcquisitionKeeper(
            store: FakeAcquisitionStore(), acquirer: acquirer, vault: FakeVault(), directory: ModelStore(time: time),
            intake: AccountIntake(policies: ModelPolicies(RefreshPolicy(provider: acme))), time: time,
            logger: CapturedLog().logger)
        pools.set([try member("a")])
        try await watch(keeper, limits, interval: .seconds(30)) { watch in
            try await pass("first look") { pools.looks >= 1 }
            #expect(acquirer.runs == 0)
            pools.set([try member("a", .reauthRequired)])
            watch.accountChanged(edited)
            try await pass("a run") { acquirer.runs == 1 }
            pools.set([try member("a", .reauthRequired), try member("new-1")])
            let looks = pools.looks
            try await pass("two more looks") { pools.looks >= looks + 2 }
            #expect(acquirer.runs == 1)
        }
    }

    @Test("an account that cools down is not available until its end, and the look comes at once and at that end")
    func coolingDown() async throws {
        pools.set([try member("a"), try member("b", .reauthRequired)])
        try await watch { watch in
            try await pass("first look") { pools.notes.last == .init(isExhausted: false, available: 1) }
            var order = CooldownOrder(
                pool: warp, key: CooldownKey(account: try accountID("a"), dimension: "gpt-5"), first: .seconds(600),
                longest: .seconds(600), limit: .seconds(600), cause: "429")
            _ = try await cooldowns.cool(order)
            watch.cooldownChanged(order.key, in: warp)
            let looks = pools.looks
            time.advance(by: .seconds(5))
            for _ in 0..<50 { await Task.yield() }
            #expect(pools.looks == looks, "for one model only: the account is good for others")
            order.key.dimension = nil
            let start = time.monotonic()
            _ = try await cooldowns.cool(order)
            watch.cooldownChanged(order.key, in: warp)
            try await pass("exhausted") { pools.notes.last == .init(isExhausted: true, available: 0) }
            #expect(time.monotonic() - start < .seconds(600))
            try await pass("its end", step: .seconds(10)) {
                pools.notes.last == .init(isExhausted: false, available: 1)
            }
            #expect(time.monotonic() - start >= .seconds(600))
            #expect(time.monotonic() - start < .seconds(1800))
        }
    }

    @Test("a change of one pool causes no look at the others, and what is in no pool causes none")
    func onlyThatPool() async throws {
        let other = PoolFixture.name("other")
        pools.set([try member("a")])
        let watch = PoolWatch(
            pools: [PoolSettings(name: warp), PoolSettings(name: other)], store: pools, cooldowns: cooldowns,
            keeper: nil,
            time: time, interval: .seconds(3600), logger: CapturedLog().logger)
        let task = Task { await watch.run() }
        try await pass("both are looked at") { pools.looks == 2 }
        let key = CooldownKey(account: try accountID("a"))
        watch.cooldownChanged(key, in: warp)
        try await pass("one look") { pools.looks == 3 }
        let stranger = AccountChange(account: try accountID("z"), generation: Generation(1), outcome: .failed)
        watch.accountChanged(stranger)
        watch.cooldownChanged(CooldownKey(account: key.account, dimension: "gpt-5"), in: other)
        watch.cooldownChanged(key, in: PoolFixture.name("unknown"))
        for _ in 0..<100 {
            time.advance(by: .milliseconds(50))
            await Task.yield()
        }
        #expect(pools.looks == 3)
        watch.cooldownChanged(key, in: other)
        try await pass("a look at the other") { pools.looks == 4 }
        task.cancel()
        await task.value
    }
}
