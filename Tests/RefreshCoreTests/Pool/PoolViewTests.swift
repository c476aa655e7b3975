import Testing

@testable import RefreshCore

/// Who of a pool can be picked, and why the others cannot.
struct PoolViewTests {
    private let now = WallTime(milliseconds: 1_800_000_000_000)

    private func account(
        _ name: String, tier: String? = nil, status: AccountStatus = .active, enabled: Bool = true,
        life: Duration? = .seconds(600), nextAttempt: Duration? = nil
    ) throws -> AccountSnapshot {
        AccountSnapshot(
            id: try accountID(name), provider: acme, enabled: enabled, status: status, generation: Generation(3),
            accessToken: life.map { _ in Secret("at") }, expiresAt: life.map { now + $0 },
            createdAt: now - .seconds(3600),
            updatedAt: now, nextAttemptAt: nextAttempt.map { now + $0 }, pool: warp,
            tier: tier.map { PoolFixture.tier($0) })
    }

    private func view(_ accounts: [AccountSnapshot], cooldowns: [Cooldown] = []) -> PoolView {
        var settings = PoolSettings(name: warp)
        settings.strategy = .fillFirst
        var view = PoolView(settings: settings)
        view.replace(accounts, Versioned(cooldowns, version: 1), now: now)
        return view
    }

    private func cooldown(
        _ name: String, dimension: String? = nil, left: Duration = .seconds(60), age: Duration = .zero,
        isTold: Bool = false
    ) throws -> Cooldown {
        Cooldown(
            key: CooldownKey(account: try accountID(name), dimension: dimension), since: now - age, until: now + left,
            isTold: isTold)
    }

    private func pick(
        _ view: PoolView, excluding: [String] = [], dimension: String? = nil, preferring: String? = nil
    ) throws -> [String] {
        var turns = PoolTurns(strategy: .fillFirst, seed: 0)
        let request = PoolRequest(
            pool: warp, excluded: Set(try excluding.map { try accountID($0) }), dimension: dimension,
            preferred: try preferring.map { try accountID($0) })
        return view.candidates(request, besides: [], turns: &turns, now: now, most: 16).map(\.id.rawValue)
    }

    @Test("tiers come in the configured order, unknown ones last; an account without one counts for the first")
    func tiers() throws {
        let view = view([
            try account("p", tier: "personal"), try account("x", tier: "extra"), try account("s", tier: "shared"),
            try account("none"), try account("a", tier: "anonymous"),
        ])
        #expect(try pick(view) == ["a", "none", "s", "p", "x"])
        #expect(try pick(view, excluding: ["a", "none", "s"]) == ["p", "x"])
        #expect(try pick(view, preferring: "p") == ["p"])
        #expect(try pick(view, excluding: ["p"], preferring: "p").first == "a")
    }

    @Test("never an excluded, cooling, paused account, or one that needs a log-in")
    func never() throws {
        let view = view(
            [
                try account("cooling"), try account("excluded"), try account("good"),
                try account("login", status: .reauthRequired), try account("paused", enabled: false),
            ], cooldowns: [try cooldown("cooling")])
        #expect(try pick(view, excluding: ["excluded"]) == ["good"])
        let request = PoolRequest(pool: warp, excluded: [try accountID("excluded"), try accountID("good")])
        #expect(
            view.obstacles(request, busy: [try accountID("good")], now: now)
                == "1 is cooling down, 1 needs a log-in, 1 is paused, 1 has all the calls it may have, 1 was excluded")
        #expect(view.earliest(dimension: nil, now: now) == now + .seconds(60))
    }

    @Test("a cool-down for one model leaves the account for the others")
    func dimensions() throws {
        let view = view([try account("a"), try account("b")], cooldowns: [try cooldown("a", dimension: "gpt-5")])
        #expect(try pick(view, dimension: "gpt-5") == ["b"])
        #expect(try pick(view, dimension: "gpt-4") == ["a", "b"])
        #expect(try pick(view) == ["a", "b"])
    }

    @Test("accounts that fail come last, and not before their next try; those whose token could not be had rest")
    func failing() throws {
        var view = view([
            try account("a-expired-and-failing", status: .degraded, life: .seconds(-5)),
            try account("b-waits", status: .degraded, life: .seconds(-5), nextAttempt: .seconds(30)),
            try account("c-new", life: nil), try account("d-good"),
        ])
        #expect(try pick(view) == ["d-good", "c-new", "a-expired-and-failing"])
        view.rest(try accountID("d-good"), until: nil, now: now)
        #expect(try pick(view) == ["c-new", "a-expired-and-failing"])
        // Its next refresh has worked, whoever made it.
        view.refreshed(try accountID("b-waits"), Generation(4))
        view.refreshed(try accountID("d-good"), Generation(4))
        #expect(try pick(view) == ["b-waits", "d-good", "c-new", "a-expired-and-failing"])
    }

    @Test("a token that was not refused because of its age is no longer kept back, unless a newer one was refused")
    func trusted() throws {
        let id = try accountID("a")
        var view = view([try account("a", nextAttempt: .seconds(30))])
        #expect(try pick(view) == ["a"])
        view.refuse(id, Generation(3))
        #expect(try pick(view).isEmpty)
        view.trust(id, Generation(2))
        #expect(try pick(view).isEmpty)
        view.trust(id, Generation(3))
        #expect(try pick(view) == ["a"])
    }

    @Test("in a tier those with a valid token come first; only a session stays with its account")
    func validFirst() throws {
        let accounts = [
            try account("a-expired", tier: "shared", life: .seconds(-5)), try account("b", tier: "shared"),
            try account("p", tier: "personal"),
        ]
        var view = view(accounts)
        #expect(try pick(view) == ["b", "a-expired", "p"])
        // Refreshed by others: its token is not known here, but it has one.
        view.refreshed(try accountID("a-expired"), Generation(4))
        #expect(try pick(view) == ["a-expired", "b", "p"])
        var settings = PoolSettings(name: warp)
        settings.strategy = .sticky
        var sticky = PoolView(settings: settings)
        sticky.replace(accounts, Versioned([], version: 1), now: now)
        var (turns, picked) = (PoolTurns(strategy: .sticky, seed: 0), Set<AccountID>())
        for number in 0..<50 {
            let request = PoolRequest(pool: warp, session: "session-\(number)")
            picked.formUnion(sticky.candidates(request, besides: [], turns: &turns, now: now, most: 1).map(\.id))
        }
        #expect(picked == Set(accounts[..<2].map(\.id)))
    }

    @Test("the refresh behind a pick is of an account of the tier that has run out, and not with every pick")
    func nudged() throws {
        let picked = try account("b", tier: "shared")
        var view = view([
            try account("a-expired", tier: "shared", life: .seconds(-5)), picked,
            try account("c-waits", tier: "shared", life: .seconds(-5), nextAttempt: .seconds(30)),
            try account("d-login", tier: "shared", status: .reauthRequired, life: .seconds(-5)),
            try account("p", tier: "personal", life: .seconds(-5)),
        ])
        let request = PoolRequest(pool: warp)
        #expect(view.nudge(besides: picked, request, now: now)?.id.rawValue == "a-expired")
        #expect(view.nudge(besides: picked, request, now: now) == nil)
        let later = now + PoolView.nudgeTime
        #expect(view.nudge(besides: picked, request, now: later)?.id.rawValue == "a-expired")
        view.refreshed(try accountID("a-expired"), Generation(4))
        #expect(view.nudge(besides: picked, request, now: later + PoolView.nudgeTime) == nil)
    }

    @Test("an account is read once more where an older generation was found than was announced")
    func late() throws {
        var entry = PoolBoardEntry(PoolSettings(name: warp), seed: 0)
        let id = try accountID("a")
        entry.view.replace([try account("a")], Versioned([], version: 1), now: now)
        entry.view.refreshed(id, Generation(4))
        let time = MonotonicTime(nanoseconds: 0)
        var old = try account("a")
        old.enabled = false
        entry.learn(id, old, announced: Generation(4), now: time)
        #expect(entry.view.members[id]?.account.enabled == true, "a replica that has not caught up")
        entry.takeLate(time)
        #expect(entry.stale.isEmpty)
        entry.takeLate(time + PoolBoardEntry.lag)
        #expect(entry.stale.keys.sorted() == [id])
        // Once: then the store has gone back.
        entry.learn(id, old, announced: Generation(0), now: time)
        #expect(entry.view.members[id]?.account.enabled == false)
    }

    @Test("a rest is bounded, whatever is asked for")
    func rests() throws {
        var view = view([try account("a")])
        view.rest(try accountID("a"), until: now + .seconds(86_400), now: now)
        #expect(view.earliest(dimension: nil, now: now) == now + PoolView.longestRest)
    }

    @Test("what has ended is remembered for the next one, and cleared by a success")
    func clearable() throws {
        let ended = try cooldown("a", left: .seconds(-1), age: .seconds(61))
        var running = try cooldown("a", dimension: "m")
        running.probe = AttemptID(rawValue: "probe")
        let view = view([try account("a")], cooldowns: [ended, running])
        let id = try accountID("a")
        #expect(view.clearable(id, dimension: "m", probe: nil, now: now) == [ended.key])
        #expect(view.clearable(id, dimension: "m", probe: AttemptID(rawValue: "other"), now: now) == [ended.key])
        #expect(
            view.clearable(id, dimension: "m", probe: AttemptID(rawValue: "probe"), now: now) == [
                ended.key, running.key,
            ])
        #expect(view.clearable(try accountID("b"), dimension: nil, probe: nil, now: now).isEmpty)
    }

    @Test("the one to be tried before its end is the one that ends first, and only where its length is a guess")
    func probeCandidate() throws {
        let accounts = try ["a", "b", "c", "d"].map { try account($0) }
        let request = PoolRequest(pool: warp, dimension: "m")
        let view = view(
            accounts,
            cooldowns: [
                try cooldown("a", left: .seconds(20), age: .seconds(40), isTold: true),
                try cooldown("b", left: .seconds(30), age: .seconds(30)),
                try cooldown("c", dimension: "m", left: .seconds(20), age: .seconds(40)),
                // Another one is in its way.
                try cooldown("d", left: .seconds(10), age: .seconds(50)),
                try cooldown("d", dimension: "m", left: .seconds(9), age: .seconds(1)),
            ])
        let found = view.probeCandidate(request, besides: [], now: now)
        #expect(found?.key == CooldownKey(account: try accountID("c"), dimension: "m"))
        #expect(view.probeCandidate(request, besides: [try accountID("c")], now: now)?.key.account.rawValue == "b")
        #expect(
            view.probeCandidate(PoolRequest(pool: warp, excluded: Set(accounts.map(\.id))), besides: [], now: now)
                == nil)
    }
}
