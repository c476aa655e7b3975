import RedisClient
import RedisStore
import RefreshCore
import Testing

/// BEGIN, COMMIT and SETTLE against a real redis-server.
@Suite(.timeLimit(.minutes(10)))
struct RefreshScriptTests {
    @Test func oneAttemptIsGrantedAndTheOthersAreHeld() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", refresh: "refresh-1")
            let begun = try await fixture.now()
            let first = try await fixture.begin("a", "attempt-1")
            #expect(first.word == "granted")
            #expect(first.claim?.refreshToken == Secret("refresh-1"))
            #expect(first.claim?.generation == Generation(1))
            let second = try await fixture.begin("a", "attempt-2")
            guard case .held(_, let remaining) = second else {
                Issue.record("the second attempt was \(second.word)")
                return
            }
            #expect((begun...(try await fixture.now())).rest(of: .seconds(600)).contains(remaining))
        }
    }

    @Test func aThousandAttemptsAtOnceGetOneGrant() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            let words = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        try await fixture.begin("a", "attempt-\(number)", demand: .newerThan(Generation(1))).word
                    }
                }
                return try await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(words == ["granted": 1, "held": 999])
        }
    }

    @Test func commitWritesTheNextGenerationAndFreesTheLock() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
            let account = try #require(try await fixture.account("a"))
            #expect(account.generation == Generation(2))
            #expect(account.accessToken == Secret("access-new"))
            #expect(account.intent == nil)
            #expect(try await fixture.begin("a", "attempt-2").claim?.refreshToken == Secret("refresh-new"))
            #expect(try await fixture.begin("a", "attempt-3", demand: .newerThan(Generation(1))).word == "fresh")
        }
    }

    /// The reply of each script is lost and the script is sent again: one effect.
    @Test func repeatedScriptsHaveOneEffect() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            #expect(try await fixture.begin("a", "attempt-1").claim?.refreshToken == Secret("refresh-1"))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .already)
            #expect(try await fixture.account("a")?.generation == Generation(2))
            #expect(try await fixture.begin("a", "attempt-2").word == "granted")
            _ = try await fixture.settle("a", "attempt-2", generation: 2, .released, kind: .unsent)
            _ = try await fixture.settle("a", "attempt-2", generation: 2, .released, kind: .unsent)
            #expect(try await fixture.account("a")?.failures == 1)
        }
    }

    /// Trap 3: a holder that is late, its lock long gone, still saves its token; lock ownership does not decide.
    @Test func aLateHolderStillCommits() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1", lockTTL: .milliseconds(1))
            try await fixture.waitForKeyToVanish(fixture.link.keys.lock(AccountID("a")))
            // The intent still protects the token: the next attempt is not granted.
            #expect(try await fixture.begin("a", "attempt-2").word == "pending")
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
        }
    }

    /// Trap 2: one holder's end does not free another's lock.
    @Test func onlyTheOwnerFreesTheLock() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.settle("a", "attempt-2", generation: 1, .released, kind: .unsent)
            #expect(try await fixture.begin("a", "attempt-3").word == "held")
            #expect(try await fixture.account("a")?.intent?.attempt == AttemptID(rawValue: "attempt-1"))
        }
    }

    /// Trap 2: that another attempt is at work says nothing of the account.
    @Test func heldElsewhereIsNoFaultOfTheAccount() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a", access: "access-1")
            _ = try await fixture.begin("a", "attempt-1")
            let before = try await fixture.account("a")
            for number in 2..<6 { #expect(try await fixture.begin("a", "attempt-\(number)").word == "held") }
            #expect(try await fixture.account("a") == before)
            #expect(before?.status == .active)
        }
    }

    @Test func recoveryTakesOverOnceAndKeepsTheFirstTime() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1", lockTTL: .milliseconds(1))
            try await fixture.waitForKeyToVanish(fixture.link.keys.lock(AccountID("a")))
            guard case .pending(_, let intent, _) = try await fixture.begin("a", "attempt-2") else {
                Issue.record("no pending intent")
                return
            }
            let recovery = try await fixture.begin("a", "attempt-2", recovering: "attempt-1")
            #expect(recovery.word == "granted for recovery")
            let taken = try #require(try await fixture.account("a")?.intent)
            #expect(taken.attempt == AttemptID(rawValue: "attempt-2"))
            #expect(taken.firstAt == intent.firstAt)
            #expect(taken.resends == 1)
            // Somebody who wanted to recover the same dead attempt comes too late.
            #expect(try await fixture.begin("a", "attempt-3", recovering: "attempt-1").word == "held")
        }
    }

    @Test func anUnsentResendLeavesTheFirstSpendUnresolved() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1", lockTTL: .milliseconds(1))
            try await fixture.waitForKeyToVanish(fixture.link.keys.lock(AccountID("a")))
            _ = try await fixture.begin("a", "attempt-2", recovering: "attempt-1")
            _ = try await fixture.settle("a", "attempt-2", generation: 1, .released, kind: .unsent)
            let intent = try #require(try await fixture.account("a")?.intent)
            #expect(intent.resends == 0)
            #expect(intent.state == .ambiguous)
        }
    }

    @Test func aRefusalEndsTheAccountUntilItsCredentialsAreReplaced() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            guard
                case .settled(let account) = try await fixture.settle(
                    "a", "attempt-1", generation: 1, .refused, kind: .refused)
            else {
                Issue.record("not settled")
                return
            }
            #expect(account.status == .reauthRequired)
            #expect(try await fixture.isDue("a") == false)
            // Trap 11: the dead token is not granted again, however often it is asked for.
            #expect(try await fixture.begin("a", "attempt-2", ignoresBackoff: true).word == "blocked")
            #expect(try await fixture.add("a", refresh: "refresh-2") == .replaced(Generation(2)))
            #expect(try await fixture.account("a")?.status == .active)
            #expect(try await fixture.begin("a", "attempt-3").claim?.refreshToken == Secret("refresh-2"))
        }
    }

    /// Trap 1: a refusal that belongs to an older generation does not touch the account.
    @Test func aLosersRefusalIsMootOnceTheGenerationHasMovedOn() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.commit("a", "attempt-1", generation: 1)
            guard
                case .moved(let account) = try await fixture.settle(
                    "a", "attempt-0", generation: 1, .refused, kind: .refused)
            else {
                Issue.record("the old refusal was taken for the new generation")
                return
            }
            #expect(account.generation == Generation(2))
            #expect(account.status == .active)
        }
    }

    @Test func anOrphanSpeaksForTheAccount() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            #expect(try await fixture.add("a", refresh: "refresh-2") == .replaced(Generation(2)))
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .orphaned)
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .orphaned)
            let key = fixture.link.keys.orphans(try AccountID("a"))
            #expect(try await fixture.redis("LLEN", key).int == 1)
            _ = try await fixture.begin("a", "attempt-2")
            guard
                case .settled(let account) = try await fixture.settle(
                    "a", "attempt-2", generation: 2, .refused, kind: .refused)
            else {
                Issue.record("not settled")
                return
            }
            #expect(account.status == .degraded)
            // What was refused is not sent again: there is no second claim, and the one re-send counts as made.
            guard case .pending(_, let intent, _) = try await fixture.begin("a", "attempt-3", ignoresBackoff: true)
            else {
                Issue.record("a refused token was granted again")
                return
            }
            #expect(intent.resends == 1)
        }
    }

    @Test func ambiguousSpendsKeepTheIntent() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.begin("a", "attempt-1")
            _ = try await fixture.settle(
                "a", "attempt-1", generation: 1, .unresolved, kind: .ambiguous, retryAfter: .seconds(60))
            #expect(try await fixture.begin("a", "attempt-2").word == "cooling")
            guard case .pending(_, let intent, _) = try await fixture.begin("a", "attempt-2", ignoresBackoff: true)
            else {
                Issue.record("the ambiguous spend is forgotten")
                return
            }
            #expect(intent.state == .ambiguous)
        }
    }

    @Test func aThrottledProviderPausesAllItsAccountsAndBlamesNone() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            try await fixture.add("b", dueIn: .zero)
            _ = try await fixture.begin("a", "attempt-1")
            let settled = try await fixture.now()
            _ = try await fixture.settle(
                "a", "attempt-1", generation: 1, .released, kind: .throttled, retryAfter: .seconds(60),
                pause: .seconds(600))
            #expect(try await fixture.account("a")?.failures == 0)
            #expect(try await fixture.account("a")?.status == .active)
            guard case .paused(_, _, let cause) = try await fixture.begin("b", "attempt-2", ignoresBackoff: true)
            else {
                Issue.record("the pause does not hold for the other account")
                return
            }
            #expect(cause == RefreshFault(kind: .throttled, message: "what happened"))
            let batch = try await fixture.schedule.takeDue(
                limits: [StoreFixture.provider: 10], hold: .seconds(30))
            #expect(batch.due.isEmpty)
            let wait = try #require(batch.nextDueIn)
            #expect((settled...(try await fixture.now())).rest(of: .seconds(600)).contains(wait))
        }
    }

    /// A newer version's intent is neither recovered nor cleared by this one.
    @Test func anUnknownIntentIsNeverTouched() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            let key = fixture.link.keys.account(try AccountID("a"))
            _ = try await fixture.redis("HSET", key, "intent", "v2 something else")
            #expect(try await fixture.begin("a", "attempt-1").word == "foreign")
            _ = try await fixture.settle("a", "attempt-1", generation: 1, .released, kind: .unsent)
            #expect(try await fixture.redis("HGET", key, "intent").string == "v2 something else")
        }
    }

    @Test func scriptsSurviveAFlushedScriptCache() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.redis("SCRIPT", "FLUSH")
            #expect(try await fixture.begin("a", "attempt-1").word == "granted")
            _ = try await fixture.redis("SCRIPT", "FLUSH")
            #expect(try await fixture.commit("a", "attempt-1", generation: 1) == .committed(enabled: true))
        }
    }

    /// I6: an error of the server is neither "held" nor "free".
    @Test func serverErrorsAreErrors() async throws {
        try await StoreFixture.run { fixture in
            try await fixture.add("a")
            _ = try await fixture.redis("CONFIG", "SET", "maxmemory", "1")
            await #expect(throws: StoreError.self) { _ = try await fixture.begin("a", "attempt-1") }
            _ = try await fixture.redis("CONFIG", "SET", "maxmemory", "0")
            #expect(try await fixture.begin("a", "attempt-2").word == "granted")
        }
    }
}

extension StoreFixture {
    func waitForKeyToVanish(_ key: String) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await redis("EXISTS", key).int == 1 {
            guard ContinuousClock.now < deadline else { throw TimedOut(what: "\(key) did not expire") }
            await Task.yield()
        }
    }

    struct TimedOut: Error { let what: String }
}
