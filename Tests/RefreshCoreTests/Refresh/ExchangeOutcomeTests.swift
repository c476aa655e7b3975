import RefreshCore
import Testing

@Suite("The refresh protocol's decisions: after the exchange")
struct ExchangeOutcomeTests {
    @Test("rotated: committed with the new tokens, due before its expiry")
    func rotated() throws {
        var bench = try MachineBench()
        bench.exchanging()
        let commit = try #require(bench.handle(.exchanged(.rotated(bench.grant()))).commit)
        #expect(commit.refreshToken == Secret("new-refresh"))
        #expect(commit.accessToken == Secret("new-access"))
        #expect(commit.generation == Generation(1))
        #expect(commit.attempt == bench.machine.attempt)
        #expect(commit.dueAt < commit.expiresAt)
        let result = try #require(bench.handle(.committed(.committed(enabled: true))).result)
        #expect(result.isRefreshed)
        #expect(result.snapshot?.generation == Generation(2))
        #expect(result.snapshot?.failures == 0)
    }

    @Test("trap 4: an answer without a refresh token keeps the stored one")
    func keepsRefreshToken() throws {
        var bench = try MachineBench()
        bench.exchanging()
        let commit = bench.handle(.exchanged(.rotated(bench.grant(refreshToken: nil)))).commit
        #expect(commit?.refreshToken == Secret("old-refresh"))
    }

    @Test("an account that was paused meanwhile stays paused in the result")
    func staysPaused() throws {
        var bench = try MachineBench()
        bench.exchanging()
        _ = bench.handle(.exchanged(.rotated(bench.grant())))
        #expect(bench.handle(.committed(.committed(enabled: false))).result?.snapshot?.enabled == false)
    }

    @Test("a COMMIT whose reply was lost is repeated once, and \"already\" is success")
    func repeatsCommit() throws {
        var bench = try MachineBench()
        bench.exchanging()
        let first = bench.handle(.exchanged(.rotated(bench.grant()))).commit
        #expect(bench.handle(.commitFailed(StoreError(.outcomeUnknown, "no reply"))).commit == first)
        #expect(bench.handle(.committed(.already)).result?.isRefreshed == true)
    }

    @Test("a COMMIT that cannot be carried out leaves the answer to the journal")
    func commitFails() throws {
        for errors in [
            [StoreError.Code.unavailable], [.outcomeUnknown, .outcomeUnknown], [.outcomeUnknown, .refused],
        ] {
            var bench = try MachineBench()
            bench.exchanging()
            var step = bench.handle(.exchanged(.rotated(bench.grant())))
            for code in errors { step = bench.handle(.commitFailed(StoreError(code, "away"))) }
            #expect(step.result?.failure?.code == .storeUnavailable)
            #expect(step.result?.snapshot?.generation == Generation(1))
        }
    }

    @Test("orphaned: asks for what is newer than the spent generation, never for a second claim")
    func orphaned() throws {
        var bench = try MachineBench(demand: .whenDue)
        bench.exchanging()
        _ = bench.handle(.exchanged(.rotated(bench.grant())))
        let request = try #require(bench.handle(.committed(.orphaned)).begin)
        #expect(request.demand == .newerThan(Generation(1)))
        #expect(bench.began(.fresh(bench.snapshot(generation: 2))).result?.isNewer == true)
    }

    @Test("refused: settled as such, and failed for good only if the store agrees (I4)")
    func refused() throws {
        let statuses: [(AccountStatus, RefreshFailure.Code)] = [
            (.reauthRequired, .reauthRequired), (.degraded, .outcomeUnknown),
        ]
        for (status, code) in statuses {
            var bench = try MachineBench()
            bench.exchanging()
            let settle = try #require(bench.handle(.exchanged(.refused("invalid_grant"))).settle)
            #expect(settle.disposition == .refused)
            #expect(settle.fault == RefreshFault(kind: .refused, message: "invalid_grant"))
            #expect(bench.handle(.settled(.settled(bench.snapshot(status: status)))).result?.failure?.code == code)
        }
    }

    @Test("trap 1: a refusal of a generation that has moved on concerns nobody")
    func refusedButMoved() throws {
        var bench = try MachineBench()
        bench.exchanging()
        _ = bench.handle(.exchanged(.refused("invalid_grant")))
        let result = bench.handle(.settled(.moved(bench.snapshot(generation: 2)))).result
        #expect(result?.isNewer == true)
    }

    @Test("refused on the one re-send: the message says that an answer was lost before")
    func refusedOnRecovery() throws {
        var bench = try MachineBench()
        bench.exchanging(isRecovery: true)
        let settle = try #require(bench.handle(.exchanged(.refused("invalid_grant"))).settle)
        #expect(settle.fault.kind == .outcomeUnknown)
        #expect(settle.disposition == .refused)
        #expect(settle.fault.message.contains("re-send"))
    }

    @Test("unsent: the intent is given back")
    func unsent() throws {
        var bench = try MachineBench()
        bench.exchanging()
        let settle = try #require(bench.handle(.unsent("connection refused")).settle)
        #expect(settle.disposition == .released)
        #expect(settle.fault.kind == .unsent)
        #expect(settle.pauseProvider == nil)
        let failure = bench.handle(.settled(.settled(bench.snapshot()))).result?.failure
        #expect(failure?.code == .providerUnavailable)
        #expect(failure?.retryAt == bench.now.wall + settle.retryAfter)
    }

    @Test("misconfigured: the provider pauses, the account stays alive")
    func misconfigured() throws {
        var bench = try MachineBench()
        bench.exchanging()
        let settle = try #require(bench.handle(.exchanged(.misconfigured("invalid_client"))).settle)
        #expect(settle.disposition == .released)
        #expect(settle.pauseProvider == settle.retryAfter)
    }

    @Test(
        "throttled: the provider's Retry-After within reason, else half a minute",
        arguments: [
            (Duration?.none, Duration.seconds(30)), (.seconds(7), .seconds(7)), (.zero, .seconds(1)),
            (.seconds(-5), .seconds(1)), (.seconds(86400), .seconds(3600)),
        ])
    func throttled(retryAfter: Duration?, pause: Duration) throws {
        var bench = try MachineBench()
        bench.exchanging()
        let settle = try #require(bench.handle(.exchanged(.throttled("429", retryAfter: retryAfter))).settle)
        #expect(settle.retryAfter == pause)
        #expect(settle.pauseProvider == pause)
        #expect(settle.disposition == .released)
    }

    @Test("ambiguous: the intent stays, whether the answer was missing or unreadable")
    func ambiguous() throws {
        for event in [RefreshMachine.Event.unanswered("timed out"), .exchanged(.ambiguous("truncated"))] {
            var bench = try MachineBench()
            bench.exchanging(remaining: .seconds(1000))
            let settle = try #require(bench.handle(event).settle)
            #expect(settle.disposition == .unresolved)
            #expect(settle.fault.kind == .ambiguous)
            // Left alone until just before the access token ends.
            #expect(settle.retryAfter == .seconds(1000 - 60 - 20 - 3))
            let result = bench.handle(.settled(.settled(bench.snapshot()))).result
            #expect(result?.failure?.code == .outcomeUnknown)
        }
    }

    @Test("ambiguous: how soon the re-send may come depends on the provider's rotation")
    func ambiguousDelay() throws {
        let cases: [(RotationBehaviour, Bool, life: Duration, Duration)] = [
            (.reusable, false, .seconds(1000), .seconds(1)),
            (.grace(.seconds(27)), false, .seconds(1000), .seconds(9)),
            (.grace(.seconds(600)), false, .seconds(1000), .seconds(10)),
            (.grace(.seconds(600)), false, .seconds(12), .seconds(4)),
            (.grace(.seconds(600)), false, .zero, .milliseconds(1)),
            (.grace(.seconds(30)), true, .seconds(1000), .seconds(917)),
            (.singleUse, false, .seconds(1000), .seconds(917)),
        ]
        for (rotation, isRecovery, life, delay) in cases {
            var bench = try MachineBench(.test(rotation))
            bench.exchanging(isRecovery: isRecovery, remaining: life)
            #expect(bench.handle(.unanswered("timed out")).settle?.retryAfter == delay)
        }
    }

    @Test("a settlement that the store does not take ends the flight with its failure")
    func settleFails() throws {
        var bench = try MachineBench()
        bench.exchanging()
        _ = bench.handle(.unsent("no route"))
        let result = bench.handle(.settleFailed(StoreError(.unavailable, "away"))).result
        #expect(result?.failure?.code == .providerUnavailable)
    }

    @Test("settling an account that was removed meanwhile says so")
    func settleMissing() throws {
        var bench = try MachineBench()
        bench.exchanging()
        _ = bench.handle(.unsent("no route"))
        #expect(bench.handle(.settled(.missing)).result?.failure?.code == .accountNotFound)
    }
}
