import RefreshCore
import Testing

@Suite("The refresh protocol's decisions: the straight way")
struct RefreshMachineTests {
    @Test("BEGIN carries what the caller saw, whose attempt it is and how long the lock lives")
    func begins() throws {
        var bench = try MachineBench()
        let request = try #require(bench.machine.start().begin)
        #expect(request.account == bench.account)
        #expect(request.provider == acme)
        #expect(request.demand == .newerThan(Generation(1)))
        #expect(request.attempt == AttemptID(rawValue: "mine"))
        #expect(request.lockTTL == bench.policy.lockTTL)
        #expect(request.recovering == nil)
    }

    @Test("a grant leads to one exchange with deadlines counted from before BEGIN was sent")
    func exchangesWithinDeadlines() throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let sentAt = bench.now.monotonic
        bench.pass(.milliseconds(500))
        let exchange = try #require(bench.handle(.began(.granted(bench.claim()), sentAt: sentAt)).exchange)
        #expect(exchange.sendBy == sentAt + bench.policy.sendBy)
        #expect(exchange.deadline == sentAt + bench.policy.sendBy + bench.policy.exchangeDeadline)
        #expect(exchange.deadline < sentAt + bench.policy.lockTTL)
    }

    @Test(
        "trap 3: a claim granted so late that the lock could end during the exchange is given back unspent",
        arguments: [Duration.seconds(2), .seconds(3), .seconds(600)])
    func lateGrant(delay: Duration) throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let sentAt = bench.now.monotonic
        bench.pass(delay)
        let settle = try #require(bench.handle(.began(.granted(bench.claim()), sentAt: sentAt)).settle)
        #expect(settle.disposition == .released)
        #expect(settle.fault.kind == .unsent)
        let result = try #require(bench.handle(.settled(.settled(bench.snapshot()))).result)
        #expect(result.failure?.code == .providerUnavailable)
    }

    @Test("a fresh account ends the flight with what is there")
    func fresh() throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let result = try #require(bench.began(.fresh(bench.snapshot(generation: 2))).result)
        #expect(result.isNewer)
        #expect(result.snapshot?.generation == Generation(2))
    }

    @Test("a blocked account fails by its reason: paused before reauthorisation")
    func blocked() throws {
        let cases: [(Bool, AccountStatus, RefreshFailure.Code)] = [
            (true, .reauthRequired, .reauthRequired), (false, .active, .disabled), (false, .reauthRequired, .disabled),
        ]
        for (enabled, status, code) in cases {
            var bench = try MachineBench()
            _ = bench.machine.start()
            let result = bench.began(.blocked(bench.snapshot(enabled: enabled, status: status))).result
            #expect(result?.failure?.code == code)
        }
    }

    @Test(
        "whoever is refused learns what to do about what the account is made of",
        arguments: [
            (nil, "log in again and put the new refresh token: locked"),
            (
                ["username", "password"],
                "check the account's username and password at the provider and put the credentials again, the same or "
                    + "new ones: locked"
            ),
            (
                ["subject"],
                "check the account's subject at the provider and put the credentials again, the same or new ones: locked"
            ),
            ([], "check what the provider knows of the account and of the client, then put the account again: locked"),
        ] as [([String]?, String)])
    func advice(fields: [String]?, words: String) throws {
        var policy = RefreshPolicy.test()
        policy.accountFields = fields
        var bench = try MachineBench(policy)
        _ = bench.machine.start()
        var snapshot = bench.snapshot(status: .reauthRequired)
        snapshot.lastFault = RefreshFault(kind: .refused, message: "locked")
        #expect(bench.began(.blocked(snapshot)).result?.failure?.message == words)
        var reading = TokenReading(request: TokenRequest(account: snapshot.id))
        guard case .fail(let failure) = reading.look(at: snapshot, source: .redis, policy: policy, now: bench.now.wall)
        else {
            Issue.record("a token was served")
            return
        }
        #expect(failure.message == words)
    }

    @Test(
        "a cooling account fails with the cause's code and the time of the next try",
        arguments: [
            (RefreshFault.Kind.unsent, RefreshFailure.Code.coolingDown), (.refused, .coolingDown),
            (.throttled, .providerThrottled), (.misconfigured, .providerMisconfigured),
            (.ambiguous, .outcomeUnknown), (.outcomeUnknown, .outcomeUnknown),
        ])
    func cooling(kind: RefreshFault.Kind, code: RefreshFailure.Code) throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let until = bench.now.wall + .seconds(30)
        let fault = RefreshFault(kind: kind, message: "why")
        let result = bench.began(.cooling(bench.snapshot(), until: until, cause: fault)).result
        #expect(result?.failure == RefreshFailure(code, "why", retryAt: until, cause: kind))
    }

    @Test("an account that is not there, and an intent of a newer version, end the flight without spending")
    func missingAndForeign() throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        #expect(bench.began(.missing).result?.failure?.code == .accountNotFound)
        bench = try MachineBench()
        _ = bench.machine.start()
        #expect(bench.began(.foreignIntent(bench.snapshot())).result?.failure?.code == .outcomeUnknown)
    }

    @Test("trap 2: a waiter rereads with jitter and never answers with the old token as success")
    func waits() throws {
        var pauses: Set<Int64> = []
        for seed in 0..<40 {
            var bench = try MachineBench(seed: UInt64(seed))
            _ = bench.machine.start()
            let until = try #require(bench.began(.held(bench.snapshot(), remaining: .seconds(20))).wait)
            let pause = (until - bench.now.monotonic).wholeMilliseconds
            #expect((187...313).contains(pause))
            pauses.insert(pause)
            #expect(bench.machine.hasWaited)
            // Woken, it asks again instead of believing what it saw.
            #expect(bench.handle(.woken).begin?.demand == .newerThan(Generation(1)))
        }
        #expect(pauses.count > 10)
    }

    @Test("a waiter does not sleep past the end of the other's lock")
    func waitsNoLongerThanTheLock() throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let until = try #require(bench.began(.held(bench.snapshot(), remaining: .milliseconds(20))).wait)
        #expect(until == bench.now.monotonic + .milliseconds(20))
    }

    @Test("waiting is bounded by patience")
    func patience() throws {
        var bench = try MachineBench(patience: .seconds(3))
        var step = bench.machine.start()
        var rounds = 0
        while step.result == nil, rounds < 100 {
            rounds += 1
            step = bench.began(.held(bench.snapshot(), remaining: .seconds(30)))
            if let until = step.wait {
                bench.pass(until - bench.now.monotonic)
                step = bench.handle(.woken)
            }
        }
        #expect(step.result?.failure?.code == .timedOut)
        #expect(bench.now.monotonic == MonotonicTime(nanoseconds: 3_000_000_000))
    }

    @Test(
        "trap 12: a store error is neither held nor free: nothing is spent",
        arguments: [StoreError.Code.unavailable, .refused, .corrupt, .sealing, .cancelled])
    func failsClosed(code: StoreError.Code) throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let result = bench.handle(.beginFailed(StoreError(code, "no"))).result
        #expect(result?.failure == RefreshFailure(.storeUnavailable, "no"))
    }

    @Test("a BEGIN whose reply was lost is repeated once with the same attempt")
    func repeatsBegin() throws {
        var bench = try MachineBench()
        let first = bench.machine.start().begin
        let again = bench.handle(.beginFailed(StoreError(.outcomeUnknown, "no reply"))).begin
        #expect(again == first)
        let result = bench.handle(.beginFailed(StoreError(.outcomeUnknown, "no reply"))).result
        #expect(result?.failure?.code == .storeUnavailable)
    }

    @Test("an event that belongs to another step ends the flight without spending")
    func losesItsThread() throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        #expect(bench.handle(.woken).result?.failure?.code == .timedOut)
        #expect(bench.began(.granted(bench.claim())).exchange == nil)
    }
}
