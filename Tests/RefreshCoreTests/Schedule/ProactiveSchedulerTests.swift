import PerennialTesting
import Testing

@testable import RefreshCore

@Suite("The proactive schedule", .timeLimit(.minutes(10)))
struct ProactiveSchedulerTests {
    @Test("only what is due is refreshed")
    func onlyDue() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let due = try await fleet.add("due", remaining: .seconds(300))
        let early = try await fleet.add("early", remaining: .seconds(3000))
        await fleet.store.tamper(early) { $0.dueAt = $0.expiresAt }
        let scan = await Scan(fleet)
        try await eventually("the due one is refreshed") {
            await fleet.store.snapshot(due)?.generation == Generation(2)
        }
        // The index said "due" of the other one, too; the account itself did not.
        try await scan.settle()
        #expect(fleet.endpoint.uses.map(\.account) == [due])
        await scan.stop()
    }

    @Test(
        "trap 5: with an interval of 15 and a window of 5 minutes nothing is missed over a day",
        arguments: [(isPoked: true, isFailing: false), (false, false), (false, true)])
    func nothingMissed(isPoked: Bool, isFailing: Bool) async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        var random = SplitMix64(seed: 42)
        var lifetimes: [AccountID: Duration] = [:]
        for number in 0..<40 {
            // Two minutes to three hours; the first part of the first life is over already.
            let lifetime = Duration.seconds(Int.random(in: 120...10_800, using: &random))
            let remaining = Duration.seconds(Int.random(in: 90...Int(lifetime.inSeconds), using: &random))
            let id = try await fleet.add("a\(number)", remaining: remaining, lifetime: lifetime)
            fleet.endpoint.setLifetime(lifetime, of: id)
            lifetimes[id] = lifetime
        }
        let configuration = ProactiveScheduler.Configuration(interval: .seconds(900), window: .seconds(300))
        let scan = await Scan(fleet, configuration: configuration, isPoked: isPoked)
        let end = time.wall() + .seconds(86_400)
        var nextFailures = time.wall()
        var missed: Set<AccountID> = []
        while time.wall() < end {
            try await scan.settle()
            let now = time.wall()
            for account in await fleet.store.snapshots() {
                // Never expired: not even within the skew, in which callers would have to wait.
                let needed = RefreshPolicy.test().effectiveSkew(lifetime: account.lifetime)
                if account.remaining(at: now) <= needed { missed.insert(account.id) }
            }
            if isFailing, time.wall() >= nextFailures {
                fleet.endpoint.script(.unsent, .unsent, .unsent)
                nextFailures = time.wall() + .seconds(1200)
            }
            scan.step(.seconds(10))
        }
        await scan.stop()
        #expect(missed.isEmpty)
        #expect(fleet.endpoint.duplicateSpends == 0)
        #expect(fleet.endpoint.uses.count > 300)
        // What a scan every 15 minutes that looks 5 minutes ahead would have missed, to see that the day is hard.
        let short = lifetimes.values.count { $0 < .seconds(900) }
        #expect(short > 0)
        for (id, lifetime) in lifetimes {
            let uses = fleet.endpoint.uses(of: id).count
            let window = RefreshPolicy.test().effectiveWindow(lifetime: lifetime)
            let most = 86_400 / (lifetime - window - window / 5).inSeconds
            #expect(Double(uses) <= most * 1.1 + 3, "refreshed more often than the window asks for")
        }
    }

    @Test("looks at the schedule do not depend on the number of accounts")
    func looksDoNotGrow() async throws {
        var looks: [Int] = []
        for count in [10, 2000] {
            let time = ManualTimeSource()
            let fleet = try await Fleet(time)
            for number in 0..<count {
                let id = try await fleet.add("a\(number)", remaining: .seconds(100_000), lifetime: .seconds(100_000))
                await fleet.store.tamper(id) { $0.dueAt = $0.expiresAt }
                await fleet.store.dropFromIndex(id)
            }
            let scan = await Scan(fleet)
            for _ in 0..<8 {
                try await eventually("the scan sleeps") { time.sleeperCount == 1 }
                time.advance(by: .seconds(900))
            }
            try await eventually("the scan sleeps") { time.sleeperCount == 1 }
            looks.append(await fleet.store.callCount(.takeDue))
            #expect(await fleet.store.callCount(.reconcile) == 1)
            #expect(await fleet.store.callCount(.begin) == 0)
            await scan.stop()
        }
        #expect(looks[0] == looks[1])
        #expect(looks[0] <= 9)
    }

    @Test("once per reign the index is put right; a store that is away then is asked again")
    func reconciles() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("lost", remaining: .seconds(100))
        await fleet.store.dropFromIndex(id)
        await fleet.store.fail(.reconcile, .unavailable)
        await fleet.store.fail(.takeDue, .unavailable)
        let scan = await Scan(fleet)
        await time.waitForSleeper()
        #expect(fleet.endpoint.uses.isEmpty)
        time.advance(by: .seconds(1))
        try await eventually("found again") { fleet.endpoint.uses.count == 1 }
        try await scan.settle()
        #expect(await fleet.store.callCount(.reconcile) == 2)
        await scan.stop()
    }

    @Test("refreshes under way at once are bounded over all providers", arguments: [1, 4])
    func bounded(limit: Int) async throws {
        let fleet = try await Fleet(ManualTimeSource())
        for number in 0..<30 { try await fleet.add("a\(number)", remaining: .seconds(100)) }
        fleet.endpoint.hold()
        let scan = await Scan(fleet, configuration: .init(maxConcurrent: limit))
        try await eventually("as many as allowed are under way") { fleet.endpoint.underWay == limit }
        #expect(await fleet.store.callCount(.begin) == limit)
        fleet.endpoint.letGo()
        try await eventually("all are refreshed") { fleet.endpoint.uses.count == 30 }
        #expect(fleet.endpoint.peakConcurrency <= limit)
        // Many refreshes share a look at the schedule.
        #expect(await fleet.store.callCount(.takeDue) <= 30 / limit + 5)
        try await scan.settle()
        await scan.stop()
    }

    @Test("a busy provider with more due than may run is worked off without waiting, beside an idle one")
    func noStarvation() async throws {
        let busy = RefreshPolicy.test { $0.maxConcurrentExchanges = 2 }
        var idle = busy
        idle.provider = ProviderFixture.name("idle")
        let fleet = try await Fleet(ManualTimeSource(), policies: ModelPolicies(busy, idle))
        for number in 0..<20 { try await fleet.add("a\(number)", remaining: .seconds(100)) }
        let scan = await Scan(fleet)
        try await scan.running {
            try await eventually("all are refreshed although time stands still") {
                fleet.endpoint.uses.count == 20
            }
        }
        #expect(fleet.endpoint.peakConcurrency <= 2)
    }

    @Test("a failed refresh is tried again when its back-off ends, with no message to tell of it")
    func failureIsNotForgotten() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let id = try await fleet.add("alice", remaining: .seconds(120))
        await fleet.store.setPublishing(false)
        fleet.endpoint.script(.unsent, .unsent)
        let scan = await Scan(fleet)
        let start = time.monotonic()
        try await eventually("refreshed at last") {
            try await scan.settle()
            if await fleet.store.snapshot(id)?.generation == Generation(2) { return true }
            scan.step(.milliseconds(100))
            return false
        }
        // Two back-offs of a second or so each, not two holds of 35 s.
        #expect(time.monotonic() - start < .seconds(15))
        await scan.stop()
    }

    @Test("an account added during a long sleep is found when a message tells of it")
    func pokes() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let scan = await Scan(fleet, isPoked: true)
        await time.waitForSleeper()
        try await fleet.add("late", remaining: .seconds(100))
        try await eventually("refreshed") { fleet.endpoint.uses.count == 1 }
        #expect(time.monotonic() == MonotonicTime(nanoseconds: 0))
        await scan.stop()
    }

    @Test("without a subscription the scan looks once a second, for nobody would tell")
    func blind() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        let scan = await Scan(fleet, isSubscribed: false)
        await time.waitForSleeper()
        await fleet.store.setPublishing(false)
        try await fleet.add("late", remaining: .seconds(100))
        time.advance(by: .seconds(1))
        try await eventually("refreshed") { fleet.endpoint.uses.count == 1 }
        await scan.stop()
    }

    @Test("without any provider the scan sleeps instead of spinning")
    func noProviders() async throws {
        let fleet = try await Fleet(ManualTimeSource(), policies: ModelPolicies())
        let scan = await Scan(fleet)
        try await scan.running {
            try await eventually("the scan sleeps") { fleet.time.sleeperCount == 1 }
        }
    }

    @Test("the line at start, and the summary at every interval, have exactly the agreed form")
    func lines() async throws {
        let time = ManualTimeSource()
        let fleet = try await Fleet(time)
        for number in 0..<3 { try await fleet.add("due\(number)", remaining: .seconds(100)) }
        for number in 0..<5 {
            let id = try await fleet.add("early\(number)", remaining: .seconds(3000))
            await fleet.store.tamper(id) { $0.dueAt = $0.expiresAt }
        }
        let scan = await Scan(fleet)
        scan.scheduler.announce()
        #expect(fleet.log.lines == ["Token refresh scheduler started (interval: 15 minutes, window: 5 minutes)"])
        try await eventually("the summary is logged") {
            try await scan.settle()
            if fleet.log.lines.count >= 3 { return true }
            scan.step(.seconds(100))
            return false
        }
        #expect(
            fleet.log.lines.dropFirst() == [
                "Token refresh completed: 3 refreshed, 5 skipped, 0 failed out of 8 checked (0 ms)",
                "  acme: 3 refreshed, 5 skipped, 0 failed out of 8 checked",
            ])
        await scan.stop()
    }

    @Test("the end of the reign ends the scan, and refreshes under way land by themselves")
    func reignEnds() async throws {
        let fleet = try await Fleet(ManualTimeSource())
        let id = try await fleet.add("alice", remaining: .seconds(100))
        fleet.endpoint.hold()
        let scan = await Scan(fleet)
        try await eventually("under way") { fleet.endpoint.underWay == 1 }
        scan.task.cancel()
        fleet.endpoint.letGo()
        await scan.task.value
        try await eventually("landed") { await fleet.store.snapshot(id)?.generation == Generation(2) }
    }

    @Test("intervals in words")
    func words() {
        #expect(ProactiveScheduler.minutes(.seconds(900)) == "15 minutes")
        #expect(ProactiveScheduler.minutes(.seconds(60)) == "1 minute")
        #expect(ProactiveScheduler.minutes(.seconds(1)) == "1 second")
        #expect(ProactiveScheduler.minutes(.seconds(90)) == "90 seconds")
    }
}
