import RefreshCore
import Testing

/// For how long accounts cool down.
struct CooldownTests {
    private let start = WallTime(milliseconds: 1_800_000_000_000)

    private func order(
        until: WallTime? = nil, first: Duration = .seconds(60), longest: Duration = .seconds(3600),
        limit: Duration = .seconds(86_400), cause: String = "429"
    ) throws -> CooldownOrder {
        CooldownOrder(
            pool: warp, key: CooldownKey(account: try accountID("a")), until: until, first: first, longest: longest,
            limit: limit, cause: cause)
    }

    @Test("the default doubles with each repetition, up to the longest")
    func grows() throws {
        var now = start
        var cooldown: Cooldown?
        var lengths: [Duration] = []
        for _ in 0..<8 {
            let next = try order().apply(to: cooldown, now: now)
            lengths.append(next.until - now)
            now = next.until
            cooldown = next
        }
        #expect(lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600].map { .seconds($0) })
        #expect(cooldown?.repeats == 8)
        // Without end.
        cooldown?.repeats = 1000
        #expect(try order().apply(to: cooldown, now: now).until - now == .seconds(3600))
    }

    @Test("what is reported while it runs repeats nothing: two hundred calls were refused, and it is one quota")
    func oneQuota() throws {
        let first = try order().apply(to: nil, now: start)
        var cooldown = first
        for step in 0..<200 { cooldown = try order().apply(to: cooldown, now: start + .milliseconds(step)) }
        #expect(cooldown == first)
    }

    @Test("what the provider says counts, within bounds, and before a guess")
    func told() throws {
        let told = try order(until: start + .seconds(7000)).apply(to: nil, now: start)
        #expect(told.until - start == .seconds(7000))
        #expect(told.isTold)
        #expect(
            try order(until: start + .seconds(9_999_999)).apply(to: nil, now: start).until - start == .seconds(86_400))
        // One that is over already, by a clock that is ahead, or a Retry-After of zero, says nothing.
        for past in [Duration.zero, .seconds(5)] {
            let guess = try order(until: start - past).apply(to: nil, now: start)
            #expect(guess.until - start == .seconds(60) && !guess.isTold)
        }
        #expect(try order(until: start + .milliseconds(5)).apply(to: nil, now: start).until - start == .seconds(1))
        // A guess gives way, even to something shorter; of two that are told the later one counts.
        let guess = try order().apply(to: nil, now: start)
        let corrected = try order(until: start + .seconds(20)).apply(to: guess, now: start + .seconds(1))
        #expect(corrected.until == start + .seconds(20))
        #expect(try order(until: start + .seconds(10)).apply(to: corrected, now: start + .seconds(1)) == corrected)
        #expect(
            try order(until: start + .seconds(30)).apply(to: corrected, now: start + .seconds(1)).until == start
                + .seconds(30))
        #expect(try order().apply(to: corrected, now: start + .seconds(2)) == corrected)
    }

    @Test("ends that are told by one burst are one end, and a longer default extends a shorter guess")
    func sameEnd() throws {
        let told = try order(until: start + .seconds(300)).apply(to: nil, now: start)
        #expect(try order(until: start + .milliseconds(300_900)).apply(to: told, now: start + .seconds(1)) == told)
        #expect(try order(until: start + .milliseconds(301_100)).apply(to: told, now: start + .seconds(1)) != told)
        let short = try order(first: .seconds(10)).apply(to: nil, now: start)
        let long = try order().apply(to: short, now: start + .seconds(3))
        #expect(long.until == start + .seconds(60) && long.since == start && long.repeats == 1 && !long.isTold)
        #expect(try order(first: .seconds(10)).apply(to: long, now: start + .seconds(4)) == long)
    }

    @Test("too many calls in too short a time say nothing about a quota: its cool-down is not cut short")
    func throttleShortensNothing() throws {
        let quota = try order().apply(to: nil, now: start)
        var throttle = try order(until: start + .seconds(6), first: .seconds(10))
        throttle.mayShorten = false
        #expect(throttle.apply(to: quota, now: start + .seconds(1)) == quota)
        throttle.until = start + .seconds(90)
        #expect(throttle.apply(to: quota, now: start + .seconds(1)).until == start + .seconds(90))
        // A Retry-After of zero with a quota neither.
        #expect(try order(until: start).apply(to: quota, now: start + .seconds(1)) == quota)
    }

    @Test("a person's word replaces what runs; an account that was added later inherits nothing")
    func replaced() throws {
        var old = try order(until: start + .seconds(3000)).apply(to: nil, now: start)
        old.repeats = 5
        var word = try order(until: start + .seconds(20))
        word.replaces = true
        let new = word.apply(to: old, now: start + .seconds(1))
        #expect(new.until == start + .seconds(20) && new.repeats == 1 && new.isTold)
        var later = try order()
        later.accountSince = start + .seconds(10)
        #expect(later.apply(to: old, now: start + .seconds(20)).until == start + .seconds(80))
        // Clocks may be a little apart.
        later.accountSince = start + .seconds(5)
        #expect(later.apply(to: old, now: start + .seconds(20)) == old)
    }

    @Test("it may be tried once, when half of a guessed length is over")
    func probe() throws {
        var guess = try order().apply(to: nil, now: start)
        #expect(!guess.allowsProbe(at: start + .seconds(29)))
        #expect(guess.allowsProbe(at: start + .seconds(30)))
        #expect(!guess.allowsProbe(at: start + .seconds(60)), "it is over")
        guess.probe = AttemptID(rawValue: "1")
        #expect(!guess.allowsProbe(at: start + .seconds(45)))
        #expect(
            !(try order(until: start + .seconds(60)).apply(to: nil, now: start).allowsProbe(at: start + .seconds(45))))
    }

    @Test("one that began in the future was written before a clock was set back")
    func clock() throws {
        let ahead = try order().apply(to: nil, now: start + .seconds(86_400))
        #expect(!ahead.isRunning(at: start))
        #expect(ahead.isRunning(at: start + .seconds(86_396)))
    }

    @Test("a cause is one bounded line")
    func cause() throws {
        #expect(try order(cause: "a\r\nb\u{7f}c").cause == "a  b c")
        #expect(try order(cause: String(repeating: "é", count: 300)).cause.utf8.count == 200)
    }
}
