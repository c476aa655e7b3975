import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Testing

/// Late replies, lost commands, callers who leave, and what is not an account's fault.
@Suite(.timeLimit(.minutes(10)))
struct PoolFaultTests {
    /// Where replies wait until they are let go.
    private final class Gate: Sendable {
        private let state = NIOLockedValueBox<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

        var waiting: Int { state.withLockedValue { $0.waiting.count } }

        func pass() async {
            await withCheckedContinuation { continuation in
                let isOpen = state.withLockedValue { state in
                    if !state.isOpen { state.waiting.append(continuation) }
                    return state.isOpen
                }
                if isOpen { continuation.resume() }
            }
        }

        func open() {
            let waiting = state.withLockedValue { state in
                defer { state = (true, []) }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Runs the body in a task that was cancelled before it begins.
    private func cancelled<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
        await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await body()
        }.value
    }

    @Test("a reply that is older than an announcement does not bring an account back")
    func lateReply() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        let pick = try await site.pick()
        _ = try await site.pick(on: 1)
        let gate = Gate()
        site.cooldowns.setWay { await gate.pass() }
        async let slow: Void = site.report(.quota, pick, until: site.time.wall() + .seconds(10))
        try await eventually("the reply is on its way") { gate.waiting == 1 }
        site.cooldowns.setWay(nil)
        try await site.report(.quota, pick, on: 1, until: site.time.wall() + .seconds(500))
        gate.open()
        try await slow
        site.time.advance(by: .seconds(60))
        for instance in 0..<2 { #expect(try await site.name(on: instance) == "b") }
        let end = site.desk.cooldown(CooldownKey(account: pick.account), in: warp)?.until
        #expect(end == site.time.wall() + .seconds(440))
    }

    @Test("of a burst that is refused one tells the store, however each reads its clock, and all wait for it")
    func burst() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await site.add("b")
        let pick = try await site.pick()
        let (commands, now) = (site.cooldowns.commands, site.time.wall())
        try await withThrowingTaskGroup { group in
            for number in 0..<200 {
                group.addTask {
                    try await site.report(.quota, pick, until: now + .milliseconds(300_000 + number * 4))
                }
            }
            try await group.waitForAll()
        }
        #expect(site.cooldowns.commands == commands + 1)
        #expect(try await site.cooldowns.cooldowns(of: warp).value.count == 1)
    }

    @Test("a cool-down that the store has not taken is told again, until it has")
    func toldAgain() async throws {
        let site = try await PoolSite(instances: 2)
        try await site.add("a")
        try await site.add("b")
        let pick = try await site.pick()
        _ = try await site.pick(on: 1)
        site.cooldowns.fail(.requestLost, .unavailable, .unavailable)
        var sleeps = site.time.sleepsStarted
        try await site.report(.quota, pick)
        let end = site.time.wall() + .seconds(60)
        #expect(try await site.name() == "b")
        #expect(try await site.name(on: 1) == "a")
        // The subscription has never been lost.
        for pause in [1, 2, 4] {
            await site.time.waitForSleeper(after: sleeps)
            sleeps = site.time.sleepsStarted
            site.time.advance(by: .seconds(pause))
        }
        try await eventually("the fleet is told") { !site.cooldowns.current(of: warp).isEmpty }
        let told = try #require(try await site.cooldowns.cooldowns(of: warp).value.first)
        #expect(told.until == end && !told.isTold)
        #expect(try await site.name(on: 1) == "b")
    }

    @Test("one that a person has released meanwhile is not told any more")
    func releasedMeanwhile() async throws {
        let site = try await PoolSite()
        try await site.add("a")
        try await site.add("b")
        let pick = try await site.pick()
        site.cooldowns.fail(.replyLost)
        let sleeps = site.time.sleepsStarted
        try await site.report(.quota, pick)
        await site.time.waitForSleeper(after: sleeps)
        #expect(try await site.desk.release(nil, in: warp).count == 1)
        #expect(try await site.name() == "a")
        site.time.advance(by: .seconds(5))
        for _ in 0..<100 { await Task.yield() }
        #expect(try await site.name() == "a")
        #expect(try await site.cooldowns.cooldowns(of: warp).value.isEmpty)
    }

    @Test("whoever leaves keeps nobody from knowing: what a call has shown is told, and its slot is free")
    func cancelledReports() async throws {
        let site = try await PoolSite { $0.maxConcurrent = 1 }
        try await site.add("a")
        try await site.add("b")
        let pick = try await site.pick()
        let failure = await cancelled { () -> String? in
            do { try await site.report(.quota, pick) } catch { return "\(error)" }
            if let lease = pick.lease { await site.desk.release(lease) }
            return nil
        }
        #expect(failure == nil)
        #expect(site.cooldowns.inUse(pick.account, of: warp) == 0)
        #expect(try await site.cooldowns.cooldowns(of: warp).value.map(\.key.account) == [pick.account])
        site.time.advance(by: .seconds(61))
        let next = try await site.pick()
        #expect(await cancelled { (try? await site.report(.ok, next)) != nil })
        #expect(try await site.cooldowns.cooldowns(of: warp).value.isEmpty)
    }

    @Test("a caller who has left takes nothing, and is no fault of any account")
    func cancelledPick() async throws {
        let site = try await PoolSite(acquires: [.success("new")]) { $0.maxConcurrent = 1 }
        let id = try await site.add("a", remaining: nil)
        _ = try await site.desk.status(of: warp)
        let kind = await cancelled { () -> PoolFailure.Kind? in
            do throws(PoolFailure) {
                _ = try await site.desk.pick(PoolRequest(pool: warp))
                return nil
            } catch {
                return error.kind
            }
        }
        #expect(kind == .cancelled)
        #expect(site.cooldowns.inUse(id, of: warp) == 0)
        #expect(site.acquirer.runs == 0)
        #expect(try await site.desk.status(of: warp).available == 1)
        #expect(try await site.name() == "a")
    }

    @Test("slots are given back where the reply was lost, and where an early try is not granted")
    func slots() async throws {
        let site = try await PoolSite { $0.maxConcurrent = 1 }
        let id = try await site.add("a")
        _ = try await site.desk.status(of: warp)
        site.cooldowns.fail(.replyLost)
        #expect(try await site.pick().lease == nil, "a valid token is served all the same")
        try await eventually("given back") { site.cooldowns.inUse(id, of: warp) == 0 }
        try await site.report(.quota, try await site.pick())
        site.time.advance(by: .seconds(600))
        try await site.report(.quota, try await site.pick())
        // Half of it is over: the account may be tried, but the store is lost in between.
        site.time.advance(by: .seconds(601))
        let last = try await site.pick()
        try await site.report(.quota, last)
        if let lease = last.lease { await site.desk.release(lease) }
        let cooling = try #require(try await site.cooldowns.cooldowns(of: warp).value.first)
        site.time.advance(by: (cooling.until - cooling.since) / 2)
        let calls = NIOLockedValueBox(0)
        site.cooldowns.setWay {
            // The slot was taken: what follows is the early try.
            if calls.withLockedValue({
                $0 += 1; return $0
            }) == 1 {
                site.cooldowns.fail(.unavailable)
            }
        }
        #expect(await site.failure() != nil)
        #expect(calls.withLockedValue { $0 } >= 1)
        #expect(site.cooldowns.inUse(id, of: warp) == 0)
    }

    @Test("a full pool costs a bounded number of commands for a request, and none for a moment once that is known")
    func fullPool() async throws {
        let site = try await PoolSite { $0.maxConcurrent = 1 }
        for number in 0..<100 {
            let id = try await site.add("a\(number)")
            _ = try await site.cooldowns.take(
                AttemptID(rawValue: "other"), of: [id], in: warp, most: 1, ttl: .seconds(600))
        }
        _ = try await site.desk.status(of: warp)
        var costs: [Int] = []
        for _ in 0..<4 {
            let before = site.cooldowns.commands
            let failure = try #require(await site.failure())
            #expect(failure.retryAfter == .seconds(1))
            costs.append(site.cooldowns.commands - before)
        }
        #expect(costs == [4, 3, 0, 0])
    }

    @Test("a store that is away is no account's fault: nobody rests, nothing is acquired, and it is said")
    func storeAway() async throws {
        let site = try await PoolSite(acquires: [.success("new")])
        try await site.add("a", remaining: .seconds(-10))
        _ = try await site.desk.status(of: warp)
        await site.fleet.store.fail(.begin, .unavailable)
        let failure = try #require(await site.failure())
        #expect(failure.kind == .storeUnavailable)
        #expect(failure.retryAfter == .seconds(1))
        #expect(site.acquirer.runs == 0)
        #expect(try await site.name() == "a")
    }

    @Test("a provider that pauses everybody is no reason to acquire another account of it")
    func throttled() async throws {
        let site = try await PoolSite(acquires: [.success("new")])
        let id = try await site.add("a", remaining: .seconds(-10))
        site.fleet.endpoint.script(.status(429, error: "slow", retryAfter: 20), for: id)
        let failure = try #require(await site.failure())
        #expect(failure.kind == .exhausted)
        #expect(site.acquirer.runs == 0)
        // Nor is it asked with every call.
        let begins = await site.fleet.store.callCount(.begin)
        for _ in 0..<20 { #expect(await site.failure() != nil) }
        #expect(await site.fleet.store.callCount(.begin) == begins)
        site.time.advance(by: .seconds(31))
        #expect(try await site.name() == "a")
    }

    @Test("nor is one that fails, and is left alone for a while")
    func openCircuit() async throws {
        let policies = ModelPolicies(.test { $0.circuitBreaker = CircuitBreaker(failures: 2) })
        let site = try await PoolSite(acquires: [.success("new")], policies: policies)
        try await site.add("a", remaining: .seconds(-10))
        for name in ["x", "y"] {
            let id = try await site.fleet.add(name)
            site.fleet.endpoint.script(.unanswered(hasRotated: false), for: id)
            _ = await site.fleet.newerThan(1, id)
        }
        let failure = try #require(await site.failure())
        #expect(failure.message.contains("left alone"), "\(failure.message)")
        for _ in 0..<3 { #expect(await site.failure() != nil) }
        #expect(site.acquirer.runs == 0)
    }

    @Test("who complains of tokens that are refused however new takes the account from nobody else")
    func damped() async throws {
        let site = try await PoolSite(acquires: [.success("new")])
        let id = try await site.add("a")
        try await site.report(.tokenRefused, try await site.pick())
        let second = try await site.pick()
        #expect(second.generation == Generation(2))
        try await site.report(.tokenRefused, second)
        // Not refreshed once more, and handed out to others.
        #expect(site.fleet.endpoint.uses.count == 1)
        #expect(try await site.pick().generation == Generation(2))
        // Who asks for a newer one gets none.
        do throws(PoolFailure) {
            _ = try await site.desk.pick(PoolRequest(pool: warp, refused: [id: second.generation]))
            Issue.record("there is none")
        } catch {
            #expect(error.kind == .exhausted)
            #expect(error.nextAt == site.time.wall() + .seconds(5), "when it may be refreshed again")
        }
        #expect(try await site.pick().generation == Generation(2))
        #expect(site.acquirer.runs == 0)
        #expect(site.fleet.endpoint.uses.count == 1)
    }

    @Test("a new account gets the time that a request has, however long it was waited for")
    func longAcquisition() async throws {
        let site = try await PoolSite(acquires: [.success("new")]) { $0.acquisitionWait = .seconds(120) }
        try await site.add("a")
        try await site.report(.quota, try await site.pick(), until: site.time.wall() + .seconds(3000))
        site.permits.permit(.notBefore(site.time.wall() + .seconds(45), reason: ""))
        let sleeps = site.time.sleepsStarted
        let waiting = Task { try await site.name() }
        await site.time.waitForSleeper(after: sleeps)
        site.time.advance(by: .seconds(45))
        #expect(try await waiting.value == "new")
    }
}
