import PerennialTesting
import RefreshCore
import Testing

@Suite("When the store, the journal or the provider fails", .timeLimit(.minutes(10)))
struct FailureTests {
    @Test("trap 12: with the store away nothing is spent (I6)")
    func storeAway() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.setDown(true)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        await fleet.store.setDown(false)
        await fleet.store.fail(.begin, .replyLost, .requestLost)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        #expect(fleet.endpoint.uses.isEmpty)
    }

    @Test("trap 12: nor is a refresh token spent that an earlier refresh has left in memory")
    func storeAwayLater() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        #expect(await fleet.newerThan(1, id).isRefreshed)
        await fleet.store.setDown(true)
        for _ in 0..<3 { #expect(await fleet.newerThan(2, id).failure?.code == .storeUnavailable) }
        #expect(fleet.endpoint.uses.count == 1)
        await fleet.store.setDown(false)
        #expect(await fleet.newerThan(2, id).isRefreshed)
        #expect(fleet.endpoint.duplicateSpends == 0)
    }

    @Test("trap 2: neither an error of the store nor \"held elsewhere\" is held against the account")
    func troubleWithTheLock() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2, patience: .seconds(2))
        let id = try await fleet.add("alice")
        await fleet.store.setDown(true)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        await fleet.store.setDown(false)
        fleet.endpoint.hold()
        async let holder = fleet.newerThan(1, id, on: 1)
        try await eventually("the other instance spends") { fleet.endpoint.underWay == 1 }
        let waiter = Task { await fleet.newerThan(1, id) }
        let isDone = Flag()
        Task {
            _ = await waiter.value
            isDone.raise()
        }
        try await eventually("the waiter gives up") {
            if !isDone.isUp { time.advanceToNextDeadline() }
            return isDone.isUp
        }
        #expect(await waiter.value.failure?.code == .timedOut)
        let account = try #require(await fleet.store.snapshot(id))
        #expect(account.status == .active)
        #expect(account.failures == 0 && account.lastFault == nil)
        fleet.endpoint.letGo()
        #expect(await holder.isRefreshed)
        #expect(await fleet.newerThan(2, id).isRefreshed)
    }

    @Test("an unwritable journal: nothing is spent, nothing is claimed (I3)")
    func journalUnwritable() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.one.journal.fail(check: true, append: true)
        #expect(await fleet.newerThan(1, id).failure?.code == .journalUnavailable)
        #expect(fleet.endpoint.uses.isEmpty)
        #expect(await fleet.store.snapshot(id)?.intent == nil)
    }

    @Test("a journal that fails with an answer in hand: the answer is committed all the same")
    func journalFailsLate() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.one.journal.fail(check: false, append: true)
        #expect(await fleet.newerThan(1, id).isRefreshed)
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
    }

    @Test("a BEGIN whose reply was lost is repeated: granted again, one exchange")
    func beginReplyLost() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.fail(.begin, .replyLost)
        #expect(await fleet.newerThan(1, id).isRefreshed)
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("a COMMIT whose reply was lost is repeated: already there, counted once")
    func commitReplyLost() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.fail(.commit, .replyLost)
        #expect(await fleet.newerThan(1, id).isRefreshed)
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
        #expect(await fleet.store.orphanCount(id) == 0)
        #expect(await fleet.one.journal.pending().isEmpty)
    }

    @Test("a COMMIT that fails stays in the journal, is committed when the store is back, without a second exchange")
    func commitFails() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.fail(.commit, .unavailable)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        #expect(await fleet.one.journal.pending().count == 1)
        #expect(await fleet.one.coordinator.hasLeftovers())
        let report = await fleet.one.coordinator.recoverLeftovers()
        #expect(report.committed == 1)
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
        #expect(await !fleet.one.coordinator.hasLeftovers())
        #expect(fleet.endpoint.uses.count == 1)
        let next = try #require(await fleet.store.refreshToken(id))
        #expect(await fleet.newerThan(2, id).isRefreshed)
        #expect(await fleet.store.refreshToken(id) != next)
        #expect(fleet.endpoint.duplicateSpends == 0)
    }

    @Test(
        "the next flight does not wait for the lock of an attempt whose answer is in the own journal: it commits that")
    func waiterIsHelped() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        await fleet.store.fail(.commit, .unavailable)
        _ = await fleet.newerThan(1, id)
        #expect(await fleet.newerThan(1, id).snapshot?.generation == Generation(2))
        #expect(await !fleet.one.coordinator.hasLeftovers())
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("once the lock has ended, the next caller finds the answer in the own journal")
    func nextCallerReplays() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice")
        await fleet.store.fail(.commit, .unavailable)
        _ = await fleet.newerThan(1, id)
        time.advance(by: .seconds(30))
        #expect(await fleet.newerThan(1, id).snapshot?.generation == Generation(2))
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test(
        "an answer in the own journal is never given up for a re-send, however often its commit fails",
        arguments: [RotationBehaviour.singleUse, .grace(.seconds(600)), .reusable])
    func journalBeforeResend(rotation: RotationBehaviour) async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, policies: ModelPolicies(.test(rotation)))
        let id = try await fleet.add("alice")
        await fleet.store.fail(.commit, .unavailable, .unavailable, .unavailable, .unavailable)
        for _ in 0..<4 {
            let caller = Task { await fleet.newerThan(1, id) }
            let isDone = Flag()
            Task {
                _ = await caller.value
                isDone.raise()
            }
            try await eventually("the flight ends") {
                if !isDone.isUp { time.advanceToNextDeadline() }
                return isDone.isUp
            }
            time.advance(by: .seconds(31))
        }
        #expect(fleet.endpoint.uses.count == 1)
        _ = await fleet.one.coordinator.recoverLeftovers()
        #expect(await fleet.store.snapshot(id)?.generation == Generation(2))
    }

    @Test("a settlement that fails is kept and repeated, so that the account is free again")
    func settleFails() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        fleet.endpoint.script(.unsent)
        await fleet.store.fail(.settle, .unavailable)
        #expect(await fleet.newerThan(1, id).failure?.code == .providerUnavailable)
        #expect(await fleet.store.snapshot(id)?.intent != nil)
        #expect(await fleet.one.coordinator.hasLeftovers())
        _ = await fleet.one.coordinator.recoverLeftovers()
        #expect(await fleet.store.snapshot(id)?.intent == nil)
        #expect(await !fleet.one.coordinator.hasLeftovers())
        fleet.time.advance(by: .seconds(10))
        #expect(await fleet.newerThan(1, id).isRefreshed)
        #expect(fleet.endpoint.uses.count == 1)
    }

    @Test("a pause that the store hears of late lasts only as long as the provider asked for")
    func latePause() async throws {
        let fleet = try await Fleet(ManualTimeSource(), instances: 2)
        let (alice, bob) = (try await fleet.add("alice"), try await fleet.add("bob"))
        fleet.endpoint.script(.status(429, error: "slow", retryAfter: 3600))
        await fleet.store.fail(.settle, .unavailable)
        #expect(await fleet.newerThan(1, alice).failure?.code == .providerThrottled)
        fleet.time.advance(by: .seconds(3000))
        _ = await fleet.one.coordinator.recoverLeftovers()
        #expect(await fleet.store.snapshot(alice)?.intent == nil)
        let failure = await fleet.newerThan(1, bob, on: 1).failure
        #expect(failure?.code == .providerThrottled && failure?.retryAt == fleet.time.wall() + .seconds(600))
        // And one that is over is none.
        fleet.time.advance(by: .seconds(601))
        await fleet.store.fail(.settle, .unavailable)
        fleet.endpoint.script(.status(429, error: "slow", retryAfter: 60))
        #expect(await fleet.newerThan(1, alice).failure?.code == .providerThrottled)
        fleet.time.advance(by: .seconds(61))
        _ = await fleet.one.coordinator.recoverLeftovers()
        #expect(await fleet.newerThan(1, bob, on: 1).isRefreshed)
    }

    @Test(
        "what an exchange said of its provider's health counts once and not late",
        arguments: [ModelFault.replyLost, .unavailable])
    func lateVerdict(fault: ModelFault) async throws {
        let policies = ModelPolicies(.test { $0.circuitBreaker = CircuitBreaker(failures: 4) })
        let fleet = try await Fleet(ManualTimeSource(), policies: policies)
        let bob = try await fleet.add("bob")
        let count = fault == .replyLost ? 3 : 5
        for number in 0..<count {
            let id = try await fleet.add("a\(number)")
            fleet.endpoint.script(.unanswered(hasRotated: false))
            await fleet.store.fail(.settle, fault)
            #expect(await fleet.newerThan(1, id).failure?.code == .outcomeUnknown)
        }
        _ = await fleet.one.coordinator.recoverLeftovers()
        #expect(await !fleet.one.coordinator.hasLeftovers())
        #expect(await fleet.newerThan(1, bob).isRefreshed, "the circuit has opened")
    }

    @Test("an answer from the journal says how near its grant is to the end, too")
    func lateTerm() async throws {
        let policies = ModelPolicies(.test { $0.grantMaxAge = .seconds(30 * 86_400) })
        let fleet = try await Fleet(ManualTimeSource(), policies: policies)
        let id = try await fleet.add("alice")
        let loggedInAt = fleet.time.wall() - .seconds(24 * 86_400)
        await fleet.store.tamper(id) { $0.authorizedAt = loggedInAt }
        await fleet.store.fail(.commit, .unavailable)
        #expect(await fleet.newerThan(1, id).failure?.code == .storeUnavailable)
        #expect(await fleet.one.coordinator.recoverLeftovers().committed == 1)
        #expect(await fleet.store.snapshot(id)?.grantStage == .expiring)
    }

    @Test("a journal entry of an earlier life is committed, or kept as an orphan when the account has moved on (I3)")
    func earlierLife() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let (alice, bob) = (try await fleet.add("alice"), try await fleet.add("bob"))
        for id in [alice, bob] {
            await fleet.one.journal.leave(
                JournalEntry(
                    account: id, provider: acme, attempt: AttemptID(rawValue: "old-\(id)"), generation: Generation(1),
                    spentRefreshToken: Secret("rt-old"), isRecovery: false,
                    response: RawTokenResponse(
                        status: 200, headers: [], body: Array("access_token=kept\nexpires_in=3600000".utf8),
                        requestedAt: fleet.time.wall())))
        }
        // Somebody has logged in again meanwhile.
        try await fleet.add("bob")
        let report = await fleet.one.coordinator.recoverLeftovers()
        #expect(report.committed == 1)
        #expect(report.orphaned == 1)
        #expect(await fleet.store.snapshot(alice)?.accessToken == Secret("kept"))
        // No refresh token in the answer: the one that was spent stays in use.
        #expect(await fleet.store.refreshToken(alice) == Secret("rt-old"))
        #expect(await fleet.store.orphanCount(bob) == 1)
        #expect(await fleet.store.snapshot(bob)?.generation == Generation(2))
    }

    @Test("an unreadable 2xx stays in the journal for a person, whatever becomes of the account")
    func unreadableStays() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice")
        fleet.endpoint.script(.truncated)
        #expect(await fleet.newerThan(1, id).failure?.code == .outcomeUnknown)
        #expect(await fleet.one.journal.pending().count == 1)
        #expect(await fleet.one.coordinator.recoverLeftovers().unusable == 1)
        fleet.endpoint.script(.unanswered(hasRotated: false))
        for _ in 0..<4 {
            time.advance(by: .seconds(4000))
            #expect(await fleet.newerThan(1, id).failure?.code == .outcomeUnknown)
        }
        #expect(fleet.endpoint.uses.count == 2)
        #expect(await fleet.one.journal.pending().count == 1)
    }

    @Test("a late holder still saves its token; the one that overtook it becomes an orphan")
    func lateHolder() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2, policies: ModelPolicies(.test(.grace(.seconds(600)))))
        let id = try await fleet.add("alice")
        fleet.endpoint.hold()
        async let late = fleet.newerThan(1, id, on: 0)
        try await eventually("the first spends") { fleet.endpoint.underWay == 1 }
        time.advance(by: .seconds(31))
        async let second = fleet.newerThan(1, id, on: 1)
        try await eventually("the second re-sends") { fleet.endpoint.underWay == 2 }
        fleet.endpoint.letGo()
        let results = await [late, second]
        #expect(results.allSatisfy { $0.snapshot?.generation == Generation(2) })
        #expect(await fleet.store.orphanCount(id) == 1)
        #expect(fleet.endpoint.uses.map(\.isRecovery) == [false, true])
    }

    @Test("single use, answer lost: no second spend until shortly before the end, then exactly one (I1)")
    func oneResend() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2)
        let id = try await fleet.add("alice", remaining: .seconds(600))
        fleet.endpoint.script(.unanswered(hasRotated: false), .unanswered(hasRotated: false))
        #expect(await fleet.newerThan(1, id).failure?.code == .outcomeUnknown)
        var sends: [Duration] = []
        let start = time.wall()
        for _ in 0..<100 {
            time.advance(by: .seconds(10))
            let caller = Task { await fleet.newerThan(1, id, on: 1) }
            let isDone = Flag()
            Task {
                _ = await caller.value
                isDone.raise()
            }
            try await eventually("the flight ends") {
                if !isDone.isUp { time.advanceToNextDeadline() }
                return isDone.isUp
            }
            if fleet.endpoint.uses.count > sends.count + 1 { sends.append(time.wall() - start) }
        }
        // Skew, the exchange and the head start of the origin before the end, at the next look.
        #expect(sends.count == 1)
        #expect(sends.allSatisfy { (Duration.seconds(517) ... .seconds(535)).contains($0) })
        #expect(fleet.endpoint.uses.count == 2)
        #expect(await fleet.store.snapshot(id)?.status == .degraded)
    }

    @Test("throttled: all instances and all accounts of the provider pause, and nobody is blamed")
    func throttled() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time, instances: 2)
        let (alice, bob) = (try await fleet.add("alice"), try await fleet.add("bob"))
        fleet.endpoint.script(.status(429, error: "rate_limit", retryAfter: 20))
        #expect(await fleet.newerThan(1, alice).failure?.code == .providerThrottled)
        let other = await fleet.newerThan(1, bob, on: 1).failure
        #expect(other?.code == .providerThrottled)
        #expect(other?.retryAt == time.wall() + .seconds(20))
        #expect(await fleet.store.snapshot(alice)?.status == .active)
        time.advance(by: .seconds(20))
        #expect(await fleet.newerThan(1, bob, on: 1).isRefreshed)
        #expect(await fleet.newerThan(1, alice).isRefreshed)
    }

    @Test("misconfigured: the account stays alive and works again once the provider does")
    func misconfigured() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        fleet.endpoint.script(.status(401, error: "invalid_client", retryAfter: nil))
        #expect(await fleet.newerThan(1, id).failure?.code == .providerMisconfigured)
        #expect(await fleet.store.snapshot(id)?.status == .degraded)
        fleet.time.advance(by: .seconds(3600))
        #expect(await fleet.newerThan(1, id).isRefreshed)
    }

    @Test("trap 4: a rename and a pause during a refresh survive it")
    func concurrentEdit() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        fleet.endpoint.script(.keepRefreshToken)
        fleet.endpoint.hold()
        let before = await fleet.store.refreshToken(id)
        async let result = fleet.newerThan(1, id)
        try await eventually("the token is being spent") { fleet.endpoint.underWay == 1 }
        _ = try await fleet.store.edit(id, AccountEdit(name: "Alice", enabled: false))
        fleet.endpoint.letGo()
        #expect(await result.isRefreshed)
        let after = try #require(await fleet.store.snapshot(id))
        #expect(after.name == "Alice")
        #expect(!after.enabled)
        #expect(after.generation == Generation(2))
        #expect(await fleet.store.refreshToken(id) == before)
        #expect(await fleet.store.indexedDue(id) == nil)
        #expect(fleet.one.reader.warm(id) == nil)
    }

    @Test("an account removed during a refresh: the answer is kept as an orphan and the token not served")
    func removedMeanwhile() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice")
        fleet.endpoint.hold()
        async let result = fleet.newerThan(1, id)
        try await eventually("the token is being spent") { fleet.endpoint.underWay == 1 }
        _ = try await fleet.store.remove(id, ifGeneration: nil)
        fleet.endpoint.letGo()
        #expect(await result.failure?.code == .accountNotFound)
        #expect(await fleet.store.orphanCount(id) == 1)
        #expect(fleet.one.cache.lastKnown(id) == nil)
    }
}
