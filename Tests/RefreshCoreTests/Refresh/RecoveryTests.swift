import RefreshCore
import Testing

@Suite("The refresh protocol's decisions: recovery of an intent that was left behind")
struct RecoveryTests {
    @Test("the origin's own journal is replayed first, once")
    func ownJournalFirst() throws {
        var bench = try MachineBench(.test(.reusable))
        let intent = try bench.intent(origin: "me", age: .seconds(31))
        #expect(bench.pending(intent, age: .seconds(31)).replay == intent.attempt)
        #expect(bench.handle(.replayed(true)).begin != nil)
        #expect(bench.began(.fresh(bench.snapshot(generation: 2))).result?.isNewer == true)
    }

    @Test("a journal that does not hold it leaves the decision to the rotation")
    func ownJournalEmpty() throws {
        var bench = try MachineBench(.test(.reusable))
        let intent = try bench.intent(origin: "me", age: .seconds(31))
        #expect(bench.pending(intent, age: .seconds(31)).replay == intent.attempt)
        #expect(bench.handle(.replayed(false)).begin?.recovering == nil)
        let snapshot = bench.snapshot(intent: intent)
        #expect(bench.began(.pending(snapshot, intent, age: .seconds(31))).begin?.recovering == intent.attempt)
    }

    @Test("an answer in the own journal that the store does not take now ends the flight: never a re-send instead")
    func ownJournalWaits() throws {
        for rotation in [RotationBehaviour.reusable, .grace(.seconds(600)), .singleUse] {
            var bench = try MachineBench(.test(rotation))
            let intent = try bench.intent(origin: "me", age: .seconds(31))
            #expect(bench.pending(intent, age: .seconds(31)).replay == intent.attempt)
            let result = bench.handle(.replayFailed(StoreError(.unavailable, "away"))).result
            #expect(result?.failure?.code == .storeUnavailable)
        }
    }

    @Test("after a wait the journal is asked again before anything is sent again")
    func asksTheJournalAgain() throws {
        var bench = try MachineBench(.test(.reusable))
        let young = try bench.intent(origin: "me", age: .seconds(1))
        #expect(bench.pending(young, age: .seconds(1)).replay != nil)
        #expect(bench.handle(.replayed(false)).begin != nil)
        #expect(bench.began(.pending(bench.snapshot(intent: young), young, age: .seconds(1))).wait != nil)
        #expect(bench.handle(.woken).begin != nil)
        let step = bench.began(.pending(bench.snapshot(intent: young), young, age: .seconds(31)))
        #expect(step.replay == young.attempt)
    }

    @Test("another instance's intent is not looked for in this journal")
    func foreignOrigin() throws {
        var bench = try MachineBench(.test(.reusable))
        let intent = try bench.intent(age: .seconds(31))
        #expect(bench.pending(intent, age: .seconds(31)).replay == nil)
    }

    @Test("an open intent younger than a lock's life may be alive: it is waited for")
    func youngIntent() throws {
        for rotation in [RotationBehaviour.reusable, .grace(.seconds(60)), .singleUse] {
            var bench = try MachineBench(.test(rotation))
            let intent = try bench.intent(age: .milliseconds(29_900))
            let until = try #require(bench.pending(intent, age: .milliseconds(29_900)).wait)
            #expect(until == bench.now.monotonic + .milliseconds(100))
        }
    }

    @Test("an attempt that has given up itself is not waited for")
    func ambiguousIntent() throws {
        var bench = try MachineBench(.test(.reusable))
        let intent = try bench.intent(state: .ambiguous, age: .seconds(1))
        #expect(bench.pending(intent, age: .seconds(1)).begin?.recovering == intent.attempt)
    }

    @Test("a refused token that an orphan speaks for is never sent again, whatever the rotation: a person decides")
    func refusedIntent() throws {
        for rotation in [RotationBehaviour.reusable, .grace(.seconds(600)), .singleUse] {
            var bench = try MachineBench(.test(rotation))
            let intent = try bench.intent(state: .refused, age: .seconds(1))
            let request = try #require(bench.pending(intent, age: .seconds(1)).settle)
            #expect(request.attempt == intent.attempt)
            #expect(request.disposition == .unresolved)
            #expect(request.fault.kind == .refused)
            #expect(request.retryAfter == .seconds(3600))
            let failure = bench.handle(.settled(.settled(bench.snapshot(intent: intent)))).result?.failure
            #expect(failure?.code == .outcomeUnknown)
            #expect(failure?.cause == .refused)
            #expect(failure?.message.contains("orphan") == true)
        }
    }

    @Test("reusable: re-sent at once, however often it was before")
    func reusable() throws {
        for resends in 0..<4 {
            var bench = try MachineBench(.test(.reusable))
            let intent = try bench.intent(state: .ambiguous, age: .seconds(100), resends: resends)
            #expect(bench.pending(intent, remaining: .seconds(3000), age: .seconds(100)).begin != nil)
        }
    }

    @Test("grace: re-sent once inside the grace, counted from the first time the token was sent")
    func graceInTime() throws {
        let policy = RefreshPolicy.test(.grace(.seconds(60)))
        var bench = try MachineBench(policy)
        var intent = try bench.intent(age: .seconds(31), first: .seconds(58))
        #expect(
            bench.pending(intent, remaining: .seconds(3000), age: .seconds(31)).begin?.recovering == intent.attempt)
        bench = try MachineBench(policy)
        intent = try bench.intent(age: .seconds(31), first: .seconds(59))
        #expect(bench.pending(intent, remaining: .seconds(3000), age: .seconds(31)).settle != nil)
        bench = try MachineBench(policy)
        intent = try bench.intent(age: .seconds(31), first: .seconds(40), resends: 1)
        #expect(bench.pending(intent, remaining: .seconds(3000), age: .seconds(31)).settle != nil)
    }

    @Test("grace that has run out: treated like single use")
    func graceTooLate() throws {
        var bench = try MachineBench(.test(.grace(.seconds(60))))
        let intent = try bench.intent(age: .seconds(300))
        let settle = try #require(bench.pending(intent, remaining: .seconds(3000), age: .seconds(300)).settle)
        #expect(settle.disposition == .unresolved)
        bench = try MachineBench(.test(.grace(.seconds(60))))
        #expect(bench.pendingForLong(intent, remaining: .seconds(50), age: .seconds(300)).begin != nil)
    }

    @Test("single use far from the end: the access token is served, the intent stays")
    func singleUseFar() throws {
        var bench = try MachineBench()
        let intent = try bench.intent(age: .seconds(31))
        let settle = try #require(bench.pending(intent, remaining: .seconds(3000), age: .seconds(31)).settle)
        #expect(settle.attempt == intent.attempt)
        #expect(settle.disposition == .unresolved)
        #expect(settle.fault.kind == .ambiguous)
        #expect(settle.retryAfter == .seconds(3000 - 83))
        let result = try #require(bench.handle(.settled(.settled(bench.snapshot(remaining: .seconds(3000))))).result)
        #expect(result.failure?.code == .outcomeUnknown)
        #expect(result.failure?.retryAt == bench.now.wall + .seconds(2917))
        #expect(result.snapshot != nil)
    }

    @Test("single use near the end: re-sent once, and never a second time")
    func singleUseNear() throws {
        for remaining in [Duration.seconds(79), .seconds(-5)] {
            var bench = try MachineBench()
            var intent = try bench.intent(age: .seconds(31))
            let request = bench.pendingForLong(intent, remaining: remaining, age: .seconds(31)).begin
            #expect(request?.recovering == intent.attempt)
            #expect(request?.attempt == bench.machine.attempt)
            bench = try MachineBench()
            intent = try bench.intent(age: .seconds(31), resends: 1)
            let settle = try #require(bench.pending(intent, remaining: remaining, age: .seconds(31)).settle)
            #expect(settle.disposition == .unresolved)
            #expect(settle.fault.kind == (remaining > .zero ? .ambiguous : .outcomeUnknown))
            // As soon as the access token has ended a person is told.
            #expect(settle.retryAfter == (remaining > .zero ? remaining : .seconds(3600)))
        }
    }

    @Test("a re-send whose claim got no answer is given back: the store may have counted it, and it was not made")
    func unansweredClaimOfResend() throws {
        var bench = try MachineBench()
        let intent = try bench.intent("before", origin: "other", state: .ambiguous, age: .seconds(31))
        #expect(bench.pendingForLong(intent, remaining: .seconds(50), age: .seconds(31)).begin?.recovering != nil)
        #expect(bench.handle(.beginFailed(StoreError(.outcomeUnknown, "no reply"))).begin?.recovering != nil)
        let settle = try #require(bench.handle(.beginFailed(StoreError(.unavailable, "away"))).settle)
        #expect(settle.attempt == bench.machine.attempt)
        #expect(settle.generation == intent.generation)
        #expect(settle.disposition == .released)
        let result = bench.handle(.settleFailed(StoreError(.unavailable, "away"))).result
        #expect(result?.failure?.code == .storeUnavailable)

        // What was certainly not carried out has nothing to give back.
        bench = try MachineBench()
        #expect(bench.pendingForLong(intent, remaining: .seconds(50), age: .seconds(31)).begin?.recovering != nil)
        #expect(bench.handle(.beginFailed(StoreError(.unavailable, "away"))).result != nil)
    }

    @Test("near the end another instance gives the origin's journal a head start; the origin itself does not wait")
    func headStart() throws {
        var bench = try MachineBench()
        let other = try bench.intent(age: .seconds(31))
        #expect(bench.pending(other, remaining: .seconds(50), age: .seconds(31)).wait != nil)
        bench.pass(.milliseconds(2900))
        #expect(bench.handle(.woken).begin?.recovering == nil)
        #expect(bench.began(.pending(bench.snapshot(intent: other), other, age: .seconds(34))).wait != nil)
        // Meanwhile the origin has brought its answer.
        #expect(bench.handle(.woken).begin?.recovering == nil)
        #expect(bench.began(.fresh(bench.snapshot(generation: 2))).result?.isNewer == true)

        var own = try MachineBench()
        let mine = try own.intent(origin: "me", age: .seconds(31))
        #expect(own.pending(mine, remaining: .seconds(50), age: .seconds(31)).replay == mine.attempt)
        _ = own.handle(.replayed(false))
        let again = own.began(.pending(own.snapshot(remaining: .seconds(50), intent: mine), mine, age: .seconds(31)))
        #expect(again.begin?.recovering == mine.attempt)
    }

    @Test("a recovery that another instance wins is not recovered again with the old mark")
    func lostTheRace() throws {
        var bench = try MachineBench()
        let dead = try bench.intent(age: .seconds(31))
        #expect(bench.pendingForLong(dead, age: .seconds(31)).begin?.recovering == dead.attempt)
        let winner = try bench.intent("winner", age: .seconds(1), first: .seconds(32), resends: 1)
        #expect(bench.began(.pending(bench.snapshot(intent: winner), winner, age: .seconds(1))).wait != nil)
        #expect(bench.handle(.woken).begin?.recovering != winner.attempt)
    }

    /// Whatever comes, in whatever order: an exchange only ever follows a grant directly, and each grant is used once.
    @Test("property: no exchange without a grant, at most one per grant, and never after the end")
    func neverSpendsWithoutAGrant() throws {
        let rotations: [RotationBehaviour] = [.singleUse, .grace(.seconds(60)), .reusable]
        var spends = 0
        for seed in UInt64(0)..<2000 {
            var random = SplitMix64(seed: seed)
            let rotation = rotations[Int.random(in: 0..<3, using: &random)]
            var bench = try MachineBench(
                .test(rotation), demand: Bool.random(using: &random) ? .whenDue : .newerThan(Generation(1)),
                seed: seed)
            var step = bench.machine.start()
            var hasFinished = false
            for _ in 0..<60 {
                bench.pass(.milliseconds(Int64.random(in: 0...3000, using: &random)))
                let follows = Bool.random(using: &random)
                let event = try follows ? fitting(step, bench, &random) : anyEvent(bench, &random)
                var isGrant = false
                if case .began(.granted, _) = event { isGrant = true }
                step = bench.handle(event)
                if step.exchange != nil {
                    spends += 1
                    if !isGrant || hasFinished { Issue.record("seed \(seed): exchange after \(event)") }
                }
                if step.result != nil { hasFinished = true }
            }
        }
        #expect(spends > 100)
    }

    private func fitting(
        _ step: RefreshMachine.Step, _ bench: MachineBench, _ random: inout SplitMix64
    ) throws -> RefreshMachine.Event {
        switch step {
        case .begin: .began(try reply(bench, &random), sentAt: bench.now.monotonic)
        case .wait: .woken
        case .replay: .replayed(Bool.random(using: &random))
        case .exchange: try answer(bench, &random)
        case .commit: .committed(Bool.random(using: &random) ? .orphaned : .committed(enabled: true))
        case .settle: .settled(.settled(bench.snapshot()))
        case .finish: try anyEvent(bench, &random)
        }
    }

    private func anyEvent(_ bench: MachineBench, _ random: inout SplitMix64) throws -> RefreshMachine.Event {
        switch Int.random(in: 0..<9, using: &random) {
        case 0, 1: .began(try reply(bench, &random), sentAt: bench.now.monotonic)
        case 2: .beginFailed(StoreError(.outcomeUnknown, "lost"))
        case 3: .woken
        case 4: Bool.random(using: &random) ? .replayed(false) : .replayFailed(StoreError(.unavailable, "away"))
        case 5: try answer(bench, &random)
        case 6: .committed(.orphaned)
        case 7: .commitFailed(StoreError(.outcomeUnknown, "lost"))
        default: .settled(.moved(bench.snapshot(generation: 2)))
        }
    }

    private func reply(_ bench: MachineBench, _ random: inout SplitMix64) throws -> BeginReply {
        let state: RefreshIntent.State = Bool.random(using: &random) ? .open : .ambiguous
        let age = Duration.seconds(Int.random(in: 0...90, using: &random))
        let remaining = Duration.seconds(Int.random(in: -10...3000, using: &random))
        let intent = try bench.intent(
            origin: Bool.random(using: &random) ? "me" : "other", state: state, age: age,
            resends: Int.random(in: 0...2, using: &random))
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return .granted(bench.claim(isRecovery: Bool.random(using: &random), remaining: remaining))
        case 1: return .held(bench.snapshot(), remaining: .seconds(5))
        case 2, 3: return .pending(bench.snapshot(remaining: remaining, intent: intent), intent, age: age)
        case 4: return .fresh(bench.snapshot(generation: 2))
        case 5: return .blocked(bench.snapshot(status: .reauthRequired))
        default: return .foreignIntent(bench.snapshot())
        }
    }

    private func answer(_ bench: MachineBench, _ random: inout SplitMix64) throws -> RefreshMachine.Event {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: .exchanged(.rotated(bench.grant()))
        case 1: .exchanged(.refused("invalid_grant"))
        case 2: .exchanged(.throttled("429", retryAfter: nil))
        case 3: .unsent("no route")
        default: .unanswered("timed out")
        }
    }
}
