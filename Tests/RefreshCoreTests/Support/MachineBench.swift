import RefreshCore
import Testing

/// Drives one ``RefreshMachine`` by hand.
struct MachineBench {
    static let wall = WallTime(milliseconds: 1_800_000_000_000)

    var machine: RefreshMachine
    var now = RefreshMachine.Now(wall: wall, monotonic: MonotonicTime(nanoseconds: 0))
    let account: AccountID
    let policy: RefreshPolicy

    init(
        _ policy: RefreshPolicy = .test(), demand: RefreshDemand = .newerThan(Generation(1)), origin: String = "me",
        patience: Duration = .seconds(75), seed: UInt64 = 7
    ) throws {
        self.policy = policy
        self.account = try AccountID("alice")
        self.machine = RefreshMachine(
            account: account, demand: demand, policy: policy, attempt: AttemptID(rawValue: "mine"),
            origin: try InstanceID(origin), fallbackReread: .milliseconds(250), patience: patience,
            startedAt: MonotonicTime(nanoseconds: 0), seed: seed)
    }

    mutating func pass(_ duration: Duration) {
        now.wall = now.wall + duration
        now.monotonic = now.monotonic + duration
    }

    mutating func handle(_ event: RefreshMachine.Event) -> RefreshMachine.Step { machine.handle(event, now: now) }

    mutating func began(_ reply: BeginReply) -> RefreshMachine.Step { handle(.began(reply, sentAt: now.monotonic)) }

    /// The account at generation 1 with `remaining` of a one-hour token.
    func snapshot(
        remaining: Duration = .seconds(-1), generation: Int64 = 1, enabled: Bool = true,
        status: AccountStatus = .active, intent: RefreshIntent? = nil
    ) -> AccountSnapshot {
        AccountSnapshot(
            id: account, provider: acme, enabled: enabled, status: status, generation: Generation(generation),
            accessToken: Secret("at"), expiresAt: now.wall + remaining,
            obtainedAt: now.wall + remaining - .seconds(3600), createdAt: Self.wall, updatedAt: Self.wall,
            intent: intent)
    }

    func claim(isRecovery: Bool = false, remaining: Duration = .seconds(-1)) -> RefreshClaim {
        RefreshClaim(
            account: snapshot(remaining: remaining), attempt: machine.attempt, generation: Generation(1),
            refreshToken: Secret("old-refresh"), isRecovery: isRecovery)
    }

    func grant(refreshToken: String? = "new-refresh") -> TokenGrant {
        TokenGrant(
            accessToken: Secret("new-access"), refreshToken: refreshToken.map { Secret($0) }, tokenType: "Bearer",
            expiresAt: now.wall + .seconds(3600))
    }

    /// Somebody's intent, written `age` ago.
    func intent(
        _ attempt: String = "dead", origin: String = "other", state: RefreshIntent.State = .open, age: Duration,
        first: Duration? = nil, resends: Int = 0
    ) throws -> RefreshIntent {
        RefreshIntent(
            attempt: AttemptID(rawValue: attempt), generation: Generation(1), origin: try InstanceID(origin),
            state: state, at: now.wall - age, firstAt: now.wall - (first ?? age), resends: resends)
    }

    /// Starts, is granted the claim, and stands before the answer of the exchange.
    mutating func exchanging(isRecovery: Bool = false, remaining: Duration = .seconds(-1)) {
        _ = machine.start()
        _ = began(.granted(claim(isRecovery: isRecovery, remaining: remaining)))
    }

    /// Starts and is told of an intent that was left behind.
    mutating func pending(_ intent: RefreshIntent, remaining: Duration = .seconds(-1), age: Duration)
        -> RefreshMachine.Step
    {
        _ = machine.start()
        return began(.pending(snapshot(remaining: remaining, intent: intent), intent, age: age))
    }

    /// As ``pending(_:remaining:age:)``, and says so again for as long as the origin has its head start.
    mutating func pendingForLong(_ intent: RefreshIntent, remaining: Duration = .seconds(-1), age: Duration)
        -> RefreshMachine.Step
    {
        var step = pending(intent, remaining: remaining, age: age)
        for _ in 0..<3 where step.wait != nil {
            pass(.seconds(1))
            _ = handle(.woken)
            step = began(.pending(snapshot(remaining: remaining, intent: intent), intent, age: age))
        }
        return step
    }
}

extension RefreshMachine.Step {
    var begin: BeginRequest? {
        if case .begin(let request) = self { return request }
        return nil
    }

    var wait: MonotonicTime? {
        if case .wait(let until) = self { return until }
        return nil
    }

    var replay: AttemptID? {
        if case .replay(let attempt) = self { return attempt }
        return nil
    }

    var exchange: (claim: RefreshClaim, sendBy: MonotonicTime, deadline: MonotonicTime)? {
        if case .exchange(let claim, let sendBy, let deadline) = self { return (claim, sendBy, deadline) }
        return nil
    }

    var commit: CommitRequest? {
        if case .commit(let request) = self { return request }
        return nil
    }

    var settle: SettleRequest? {
        if case .settle(let request) = self { return request }
        return nil
    }

    var result: RefreshResult? {
        if case .finish(let result) = self { return result }
        return nil
    }
}
