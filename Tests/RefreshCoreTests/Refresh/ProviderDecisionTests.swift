import RefreshCore
import Testing

@Suite("The refresh protocol's decisions: what concerns the whole provider")
struct ProviderDecisionTests {
    private static let limit = RateLimit(requests: 30, per: .seconds(60))

    @Test("who is promised a slot waits for it and asks again")
    func waitsForItsSlot() throws {
        var bench = try MachineBench(.test { $0.rateLimit = Self.limit })
        #expect(try #require(bench.machine.start().begin).rateLimit == Self.limit)
        let until = bench.now.wall + .seconds(4)
        let wait = try #require(bench.began(.limited(bench.snapshot(), until: until, isPromised: true)).wait)
        #expect(wait >= bench.now.monotonic + .seconds(4) && wait < bench.now.monotonic + .milliseconds(4100))
        bench.pass(.milliseconds(4100))
        #expect(bench.handle(.woken).begin?.attempt == AttemptID(rawValue: "mine"))
        #expect(bench.began(.granted(bench.claim())).exchange != nil)
    }

    @Test("without a promise, or past its patience, the caller is told when to come back; the account is not blamed")
    func isSentAway() throws {
        for (isPromised, patience) in [(false, Duration.seconds(75)), (true, .seconds(3))] {
            var bench = try MachineBench(.test { $0.rateLimit = Self.limit }, patience: patience)
            _ = bench.machine.start()
            let until = bench.now.wall + .seconds(4)
            let result = bench.began(.limited(bench.snapshot(), until: until, isPromised: isPromised)).result
            let failure = try #require(result?.failure)
            #expect(failure.code == .providerThrottled && failure.retryAt == until && failure.isHeldBack)
            #expect(failure.message.contains("30 in 60 s"))
        }
    }

    @Test("a claim over the limit is given back without a failure, and the slot is waited for")
    func givesWay() throws {
        var bench = try MachineBench(.test { $0.rateLimit = Self.limit })
        _ = bench.machine.start()
        let until = bench.now.wall + .seconds(2)
        let settle = try #require(bench.began(.overLimit(bench.claim(), until: until, isPromised: true)).settle)
        #expect(settle.disposition == .limited && settle.retryAfter == .seconds(2) && settle.health == .unknown)
        #expect(bench.handle(.settled(.settled(bench.snapshot()))).wait != nil)
        // Where that could not be written nothing is sent either.
        bench = try MachineBench(.test { $0.rateLimit = Self.limit })
        _ = bench.machine.start()
        _ = bench.began(.overLimit(bench.claim(), until: until, isPromised: true))
        let result = bench.handle(.settleFailed(StoreError(.unavailable, "away"))).result
        #expect(result?.failure?.code == .storeUnavailable)
    }

    @Test(
        "a paused provider fails by its cause, and no account is told of an unknown outcome that is not its own",
        arguments: [
            (RefreshFault.Kind.throttled, RefreshFailure.Code.providerThrottled),
            (.misconfigured, .providerMisconfigured), (.ambiguous, .providerUnavailable),
            (.unsent, .providerUnavailable),
        ])
    func paused(kind: RefreshFault.Kind, code: RefreshFailure.Code) throws {
        var bench = try MachineBench()
        _ = bench.machine.start()
        let until = bench.now.wall + .seconds(30)
        let fault = RefreshFault(kind: kind, message: "why")
        let failure = try #require(
            bench.began(.paused(bench.snapshot(), until: until, cause: fault)).result?.failure)
        #expect(failure.code == code && failure.retryAt == until && failure.cause == kind && failure.isHeldBack)
        #expect(failure.message.contains("why"))
    }

    @Test("what an attempt says of the provider")
    func health() throws {
        let events: [(RefreshMachine.Event, ProviderHealth)] = [
            (.exchanged(.refused("invalid_grant")), .answering), (.exchanged(.misconfigured("404")), .failing),
            (.exchanged(.throttled("429", retryAfter: .seconds(5))), .unknown),
            (.exchanged(.ambiguous("502")), .failing), (.unanswered("timeout"), .failing),
            (.unreachable("refused"), .failing), (.unsent("send-by missed"), .unknown),
        ]
        for (event, health) in events {
            var bench = try MachineBench(.test { $0.circuitBreaker = CircuitBreaker(failures: 3) })
            bench.exchanging()
            let settle = try #require(bench.handle(event).settle)
            #expect(settle.health == health, "\(event)")
            #expect(settle.circuitBreaker == CircuitBreaker(failures: 3))
            #expect((0...1000).contains(settle.jitter))
        }
    }

    @Test("only a refusal hands its token on, to be remembered")
    func remembersRefusals() throws {
        for (outcome, token) in [
            (ExchangeOutcome.refused("invalid_grant"), Secret("old-refresh")), (.ambiguous("502"), nil),
            (.misconfigured("404"), nil),
        ] {
            var bench = try MachineBench()
            bench.exchanging()
            #expect(try #require(bench.handle(.exchanged(outcome)).settle).refusedToken == token)
        }
    }

    @Test("an answer after failures says so, and only then")
    func clears() throws {
        for followsFailures in [false, true] {
            var bench = try MachineBench()
            _ = bench.machine.start()
            var claim = bench.claim()
            claim.followsFailures = followsFailures
            _ = bench.began(.granted(claim))
            let commit = try #require(bench.handle(.exchanged(.rotated(bench.grant()))).commit)
            #expect(commit.clearsFailures == followsFailures)
        }
    }

    @Test("no provider is paused for longer than the scripts believe, whatever its back-off")
    func longestPause() throws {
        var longest = Duration.zero
        for seed in 1...20 as ClosedRange<UInt64> {
            let policy = RefreshPolicy.test {
                $0.backoffBase = .seconds(3600)
                $0.backoffCap = .seconds(86_400)
            }
            var bench = try MachineBench(policy, seed: seed)
            _ = bench.machine.start()
            var claim = bench.claim()
            claim.account.failures = 10
            _ = bench.began(.granted(claim))
            let settle = try #require(bench.handle(.exchanged(.misconfigured("invalid_client"))).settle)
            #expect(try #require(settle.pauseProvider) <= .seconds(3600))
            longest = max(longest, settle.retryAfter)
        }
        // The account itself keeps to the back-off that is configured.
        #expect(longest > .seconds(3600))
    }

    // MARK: The end of a grant

    @Test("the end that the provider tells is stored with its stage, and the next look comes in time")
    func grantTold() throws {
        var bench = try MachineBench(.test { $0.window = .seconds(300) })
        bench.exchanging()
        var grant = bench.grant()
        grant.expiresAt = bench.now.wall + .seconds(90 * 86_400)
        grant.grantExpiresAt = bench.now.wall + .seconds(40 * 86_400)
        let commit = try #require(bench.handle(.exchanged(.rotated(grant))).commit)
        #expect(commit.grant == GrantTerm(since: bench.now.wall, endsAt: bench.now.wall + .seconds(40 * 86_400)))
        #expect(commit.grantStage == .lasting)
        #expect(commit.dueAt == bench.now.wall + .seconds(33 * 86_400))
    }

    @Test("a configured age counts from the log-in, and the earlier end counts")
    func grantAge() throws {
        var bench = try MachineBench(.test { $0.grantMaxAge = .seconds(30 * 86_400) })
        _ = bench.machine.start()
        var claim = bench.claim()
        claim.account.authorizedAt = bench.now.wall - .seconds(24 * 86_400)
        _ = bench.began(.granted(claim))
        let commit = try #require(bench.handle(.exchanged(.rotated(bench.grant()))).commit)
        #expect(commit.grant == nil)
        #expect(commit.grantStage == .expiring)
        #expect(commit.grantEndsAt == bench.now.wall + .seconds(6 * 86_400))
        // An account from before log-ins were noted counts from when it was added, where that is known.
        for (createdAt, stage) in [
            (bench.now.wall - .seconds(24 * 86_400), GrantTerm.Stage.expiring), (WallTime(milliseconds: 0), .lasting),
        ] {
            bench = try MachineBench(.test { $0.grantMaxAge = .seconds(30 * 86_400) })
            _ = bench.machine.start()
            claim = bench.claim()
            claim.account.createdAt = createdAt
            _ = bench.began(.granted(claim))
            #expect(try #require(bench.handle(.exchanged(.rotated(bench.grant()))).commit).grantStage == stage)
        }
    }
}
