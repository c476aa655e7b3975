import PerennialServers
import RedisStore
import RefreshCore
import Testing

/// The circuit breaker of a provider, as the scripts keep it for all instances.
@Suite(.timeLimit(.minutes(2)))
struct CircuitBreakerTests {
    private static let breaker = CircuitBreaker(failures: 3, cap: .seconds(300))

    private func fail(
        _ fixture: StoreFixture, _ id: String, _ attempt: String, jitter: Int = 500,
        kind: RefreshFault.Kind = .ambiguous
    ) async throws {
        _ = try await fixture.store.settle(
            SettleRequest(
                account: AccountID(id), provider: StoreFixture.provider, attempt: AttemptID(rawValue: attempt),
                generation: Generation(1), disposition: kind == .ambiguous ? .unresolved : .released,
                fault: RefreshFault(kind: kind, message: "HTTP 502"), retryAfter: .seconds(60), health: .failing,
                circuitBreaker: Self.breaker, jitter: jitter))
    }

    /// The provider has answered with a token.
    private func commit(
        _ fixture: StoreFixture, _ claim: RefreshClaim, refreshToken: String? = nil, at now: WallTime
    ) async throws {
        _ = try await fixture.store.commit(
            CommitRequest(
                claim: claim,
                grant: TokenGrant(
                    accessToken: Secret("at"), refreshToken: refreshToken.map { Secret($0) }, tokenType: "Bearer",
                    expiresAt: now + .seconds(3600)), obtainedAt: now, dueAt: now + .seconds(3000)))
    }

    /// As if the pause had run its time.
    private func endPause(
        _ fixture: StoreFixture, in partition: Int = 0, cause: String = "ambiguous HTTP 502"
    ) async throws {
        let past = try await fixture.now().milliseconds - 1000
        _ = try await fixture.redis(
            "HSET", fixture.link.keys.pauses(partition), StoreFixture.provider.rawValue, "\(past) \(cause)")
    }

    private func condition(_ fixture: StoreFixture) async throws -> ProviderCondition {
        try #require(
            try await RedisProviderMonitor(link: fixture.link).conditions(of: [StoreFixture.provider]).first)
    }

    /// Opens it with three accounts; there are ten.
    private func open(_ fixture: StoreFixture) async throws {
        for number in 0..<10 { try await fixture.add("account-\(number)", dueIn: .zero) }
        for number in 0..<3 {
            #expect(try await fixture.begin("account-\(number)", "attempt-\(number)").word == "granted")
        }
        for number in 0..<3 { try await fail(fixture, "account-\(number)", "attempt-\(number)") }
    }

    @Test(arguments: [false, true])
    func threeFailuresInARowPauseTheProviderForEverybody(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            try await open(fixture)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .open && condition.failures == 3)
            #expect(condition.cause == RefreshFault(kind: .ambiguous, message: "HTTP 502"))
            guard case .paused(_, let until, let cause) = try await fixture.begin("account-5", "attempt-5") else {
                Issue.record("somebody was let through")
                return
            }
            #expect(cause.message == "HTTP 502")
            let pause = (until - (try await fixture.now())).inSeconds
            #expect(pause > 5 && pause <= 7.5)
            if !isFrugal {
                let batch = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 5], hold: .seconds(30))
                #expect(batch.due.isEmpty)
            }
        }
    }

    @Test func oneGoesFirstAndItsAnswerLetsTheOthersThrough() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            #expect(try await condition(fixture).circuit == .halfOpen)
            // Of the many that are due one is taken.
            let batch = try await fixture.schedule.takeDue(limits: [StoreFixture.provider: 5], hold: .seconds(30))
            #expect(batch.due.count == 1)
            let claim = try #require(try await fixture.begin("account-5", "probe").claim)
            #expect(claim.followsFailures)
            #expect(try await fixture.begin("account-6", "attempt-6").word == "paused")
            #expect(try await condition(fixture).circuit == .halfOpen)
            let now = try await fixture.now()
            try await commit(fixture, claim, refreshToken: "rt", at: now)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .closed && condition.failures == 0 && condition.pausedUntil == nil)
            let next = try #require(try await fixture.begin("account-6", "attempt-7").claim)
            #expect(!next.followsFailures)
        }
    }

    @Test func aFailureOfTheFirstPausesForLongerAndStragglersDoNot() async throws {
        try await StoreFixture.run { fixture in
            for number in 0..<10 { try await fixture.add("account-\(number)", dueIn: .zero) }
            for number in 0..<8 {
                #expect(try await fixture.begin("account-\(number)", "attempt-\(number)").word == "granted")
            }
            for number in 0..<8 { try await fail(fixture, "account-\(number)", "attempt-\(number)", jitter: 1000) }
            guard case .paused(_, let first, _) = try await fixture.begin("account-8", "x") else {
                Issue.record("not open")
                return
            }
            let pause = (first - (try await fixture.now())).inSeconds
            #expect(pause > 8 && pause <= 10)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-8", "probe").word == "granted")
            try await fail(fixture, "account-8", "probe", jitter: 1000)
            guard case .paused(_, let second, _) = try await fixture.begin("account-9", "y") else {
                Issue.record("not open again")
                return
            }
            // It replaces the time that was kept for the probe.
            let longer = (second - (try await fixture.now())).inSeconds
            #expect(longer > 18 && longer <= 20)
        }
    }

    @Test func aProbeThatVanishesMakesRoomForAnother() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-5", "probe", lockTTL: .milliseconds(200)).word == "granted")
            #expect(try await fixture.begin("account-6", "attempt-6").word == "paused")
            try await Task.sleep(for: .milliseconds(250))
            #expect(try await fixture.begin("account-6", "attempt-7").word == "granted")
        }
    }

    @Test func aSuccessInBetweenBeginsTheCountAnew() async throws {
        try await StoreFixture.run { fixture in
            for number in 0..<10 { try await fixture.add("account-\(number)", dueIn: .zero) }
            for round in 0..<3 {
                for number in 0..<2 {
                    let id = "account-\(3 * round + number)"
                    #expect(try await fixture.begin(id, "attempt-\(id)").word == "granted")
                    try await fail(fixture, id, "attempt-\(id)")
                }
                let id = "account-\(3 * round + 2)"
                let claim = try #require(try await fixture.begin(id, "attempt-\(id)").claim)
                #expect(claim.followsFailures)
                let settled = try await fixture.store.settle(
                    SettleRequest(
                        account: claim.account.id, provider: StoreFixture.provider, attempt: claim.attempt,
                        generation: claim.generation, disposition: .refused,
                        fault: RefreshFault(kind: .refused, message: "invalid_grant"), retryAfter: .seconds(1),
                        health: .answering, circuitBreaker: Self.breaker, followsFailures: claim.followsFailures))
                guard case .settled = settled else {
                    Issue.record("\(settled)")
                    return
                }
                // A refusal is an answer of a provider that works.
                #expect(try await condition(fixture).failures == 0)
            }
        }
    }

    @Test func whatTheProviderAskedForIsNotCutShort() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            let claim = try #require(try await fixture.begin("account-5", "probe").claim)
            _ = try await fixture.settle(
                "account-0", "attempt-0", generation: 1, .released, kind: .throttled, pause: .seconds(600))
            let now = try await fixture.now()
            try await commit(fixture, claim, at: now)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .closed)
            #expect(condition.cause?.kind == .throttled)
            #expect(condition.pausedUntil.map { $0 > now + .seconds(500) } == true)
        }
    }

    @Test func aSuccessAfterAnAskedForPauseLetsEverybodyThroughAtOnce() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-5", "probe-1").word == "granted")
            _ = try await fixture.settle(
                "account-5", "probe-1", generation: 1, .released, kind: .throttled, pause: .seconds(60))
            #expect(try await condition(fixture).cause?.kind == .throttled)
            try await endPause(fixture, cause: "throttled what happened")
            let claim = try #require(try await fixture.begin("account-6", "probe-2").claim)
            #expect(try await fixture.begin("account-7", "attempt-7").word == "paused")
            let now = try await fixture.now()
            try await commit(fixture, claim, at: now)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .closed && condition.pausedUntil == nil)
            #expect(try await fixture.begin("account-7", "attempt-8").word == "granted")
        }
    }

    @Test func aFirstThatFailsDoesNotShortenWhatTheProviderAskedFor() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-5", "probe").word == "granted")
            _ = try await fixture.settle(
                "account-0", "attempt-0", generation: 1, .released, kind: .throttled, pause: .seconds(600))
            try await fail(fixture, "account-5", "probe")
            let condition = try await condition(fixture)
            let now = try await fixture.now()
            #expect(condition.circuit == .open && condition.cause?.kind == .throttled)
            #expect(condition.pausedUntil.map { $0 > now + .seconds(500) } == true)
        }
    }

    @Test func onAClusterAllPartitionsKnow() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "breaker") { fixture in
                try await open(fixture)
                for number in 3..<10 {
                    #expect(try await fixture.begin("account-\(number)", "attempt-\(number)").word == "paused")
                }
                for partition in 0..<fixture.link.keys.partitions { try await endPause(fixture, in: partition) }
                let claim = try #require(try await fixture.begin("account-5", "probe").claim)
                #expect(try await fixture.begin("account-6", "attempt-a").word == "paused")
                let now = try await fixture.now()
                try await commit(fixture, claim, at: now)
                for number in 6..<10 {
                    let next = try #require(try await fixture.begin("account-\(number)", "again-\(number)").claim)
                    #expect(!next.followsFailures)
                }
            }
        }
    }
}
