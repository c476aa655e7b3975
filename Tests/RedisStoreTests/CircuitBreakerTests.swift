import PerennialServers
import RedisClient
import RedisStore
import RefreshCore
import Testing

/// The circuit breaker of a provider, as the scripts keep it for all instances.
@Suite(.timeLimit(.minutes(10)))
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
        try await setPause(fixture, in: partition, cause: cause, endingIn: .seconds(-1))
    }

    /// As if no time passed from now on: for what is to be seen while the pause lasts.
    @discardableResult
    private func prolongPause(_ fixture: StoreFixture, in partition: Int = 0) async throws -> WallTime {
        try await setPause(fixture, in: partition, cause: "ambiguous HTTP 502", endingIn: .seconds(600))
    }

    @discardableResult
    private func setPause(
        _ fixture: StoreFixture, in partition: Int, cause: String, endingIn rest: Duration
    ) async throws -> WallTime {
        let end = try await fixture.now() + rest
        _ = try await fixture.redis(
            "HSET", fixture.link.keys.pauses(partition), StoreFixture.provider.rawValue,
            "\(end.milliseconds) \(cause)")
        return end
    }

    /// Until when the provider is paused, as it is written in a partition.
    private func pausedUntil(_ fixture: StoreFixture, in partition: Int = 0) async throws -> WallTime {
        let key = fixture.link.keys.pauses(partition)
        let text = try await fixture.redis("HGET", key, StoreFixture.provider.rawValue).string
        let end = text?.split(separator: " ").first.flatMap { Int64($0) }
        return WallTime(milliseconds: try #require(end, "partition \(partition) knows of no pause"))
    }

    private func condition(_ fixture: StoreFixture) async throws -> ProviderCondition {
        try #require(
            try await RedisProviderMonitor(link: fixture.link).conditions(of: [StoreFixture.provider]).first)
    }

    /// Opens it with three accounts; there are ten. Returns the time before and after the last failure.
    @discardableResult
    private func open(_ fixture: StoreFixture) async throws -> ClosedRange<WallTime> {
        for number in 0..<10 { try await fixture.add("account-\(number)", dueIn: .zero) }
        for number in 0..<3 {
            #expect(try await fixture.begin("account-\(number)", "attempt-\(number)").word == "granted")
        }
        for number in 0..<2 { try await fail(fixture, "account-\(number)", "attempt-\(number)") }
        return try await fixture.timed { try await fail(fixture, "account-2", "attempt-2") }.times
    }

    @Test(arguments: [false, true])
    func threeFailuresInARowPauseTheProviderForEverybody(isFrugal: Bool) async throws {
        try await StoreFixture.run(isFrugal: isFrugal) { fixture in
            let opened = try await open(fixture)
            #expect(opened.later(by: .milliseconds(7500)).contains(try await pausedUntil(fixture)))
            let end = try await prolongPause(fixture)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .open && condition.failures == 3)
            #expect(condition.cause == RefreshFault(kind: .ambiguous, message: "HTTP 502"))
            guard case .paused(_, let until, let cause) = try await fixture.begin("account-5", "attempt-5") else {
                Issue.record("somebody was let through")
                return
            }
            #expect(cause.message == "HTTP 502")
            #expect(until == end)
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
            func fail(_ number: Int) async throws {
                try await self.fail(fixture, "account-\(number)", "attempt-\(number)", jitter: 1000)
            }
            for number in 0..<2 { try await fail(number) }
            let opened = try await fixture.timed { try await fail(2) }.times
            #expect(opened.later(by: .seconds(10)).contains(try await pausedUntil(fixture)))
            let end = try await prolongPause(fixture)
            for number in 3..<8 { try await fail(number) }
            guard case .paused(_, let first, _) = try await fixture.begin("account-8", "x") else {
                Issue.record("not open")
                return
            }
            #expect(first == end)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-8", "probe").word == "granted")
            let again = try await fixture.timed {
                try await self.fail(fixture, "account-8", "probe", jitter: 1000)
            }.times
            // It replaces the time that was kept for the probe.
            #expect(again.later(by: .seconds(20)).contains(try await pausedUntil(fixture)))
            try await prolongPause(fixture)
            #expect(try await fixture.begin("account-9", "y").word == "paused")
        }
    }

    @Test func aProbeThatVanishesMakesRoomForAnother() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            let begun = try await fixture.timed {
                try await fixture.begin("account-5", "probe", lockTTL: .seconds(600)).word
            }
            #expect(begun.value == "granted")
            guard case .paused(_, let until, _) = try await fixture.begin("account-6", "attempt-6") else {
                Issue.record("two at once")
                return
            }
            #expect(begun.times.later(by: .seconds(600)).contains(until), "as long as its claim")
            try await endPause(fixture)
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
                "account-0", "attempt-0", generation: 1, .released, kind: .throttled, pause: .seconds(1200))
            let now = try await fixture.now()
            try await commit(fixture, claim, at: now)
            let condition = try await condition(fixture)
            #expect(condition.circuit == .closed)
            #expect(condition.cause?.kind == .throttled)
            #expect(condition.pausedUntil.map { $0 > now + .seconds(1000) } == true)
        }
    }

    @Test func aSuccessAfterAnAskedForPauseLetsEverybodyThroughAtOnce() async throws {
        try await StoreFixture.run { fixture in
            try await open(fixture)
            try await endPause(fixture)
            #expect(try await fixture.begin("account-5", "probe-1").word == "granted")
            _ = try await fixture.settle(
                "account-5", "probe-1", generation: 1, .released, kind: .throttled, pause: .seconds(1200))
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
                "account-0", "attempt-0", generation: 1, .released, kind: .throttled, pause: .seconds(1200))
            try await fail(fixture, "account-5", "probe")
            let condition = try await condition(fixture)
            let now = try await fixture.now()
            #expect(condition.circuit == .open && condition.cause?.kind == .throttled)
            #expect(condition.pausedUntil.map { $0 > now + .seconds(1000) } == true)
        }
    }

    @Test func onAClusterAllPartitionsKnow() async throws {
        try await withRedisCluster { cluster in
            try await StoreFixture.run(on: cluster, prefix: "breaker") { fixture in
                let opened = try await open(fixture)
                for partition in 0..<fixture.link.keys.partitions {
                    let end = try await pausedUntil(fixture, in: partition)
                    #expect(opened.later(by: .milliseconds(7500)).contains(end))
                    try await prolongPause(fixture, in: partition)
                }
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
