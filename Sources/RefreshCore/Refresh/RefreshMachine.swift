/// One flight of one account as a pure state machine: the refresh protocol's decisions, without its input and output.
///
/// The driver performs the returned ``Step`` and feeds back what came of it; the machine answers with the next step
/// until ``Step/finish(_:)``. It holds no clock, no connection and no task, so every branch can be tested by itself
/// and the simulator can run it under any schedule.
public struct RefreshMachine: Sendable {
    /// What the driver is to do next.
    public enum Step: Sendable {
        case begin(BeginRequest)
        /// Wait for a change of the account, at most until then.
        case wait(until: MonotonicTime)
        /// Commit what this instance's own journal holds of that attempt.
        case replay(AttemptID)
        case exchange(RefreshClaim, sendBy: MonotonicTime, deadline: MonotonicTime)
        case commit(CommitRequest)
        case settle(SettleRequest)
        case finish(RefreshResult)
    }

    /// What came of a step.
    public enum Event: Sendable {
        case began(BeginReply, sentAt: MonotonicTime)
        case beginFailed(StoreError)
        case woken
        /// True when the journal held the attempt and its answer is in the store now.
        case replayed(Bool)
        /// The journal holds the attempt, and the store does not take its answer now.
        case replayFailed(StoreError)
        case exchanged(ExchangeOutcome)
        case unsent(String)
        case unreachable(String)
        case unanswered(String)
        case committed(CommitReply)
        case commitFailed(StoreError)
        case settled(SettleReply)
        case settleFailed(StoreError)
    }

    /// The instants at which a decision is taken, on both clocks.
    public struct Now: Sendable {
        public var wall: WallTime
        public var monotonic: MonotonicTime

        public init(wall: WallTime, monotonic: MonotonicTime) {
            self.wall = wall
            self.monotonic = monotonic
        }
    }

    private enum State: Sendable {
        case beginning
        case waiting
        case replaying
        case exchanging(RefreshClaim)
        case committing(RefreshClaim, CommitRequest)
        case settling(SettleRequest, RefreshFailure)
        /// The claim is given back, because the rate limit leaves no room.
        case givingWay(until: WallTime, isPromised: Bool)
        case finished
    }

    /// How often an unanswered BEGIN or COMMIT is repeated at once: both are idempotent for one attempt id.
    static let repeatsAfterLostReply = 1
    /// A provider that is set up wrongly is not asked for every account in turn.
    static let shortestMisconfigurationPause = Duration.seconds(5)
    /// Of a provider; a longer one the scripts take for what a clock ahead has left behind.
    public static let longestPause = Duration.seconds(3600)

    public let account: AccountID
    public private(set) var demand: RefreshDemand
    /// Whether this flight waited for somebody else's attempt.
    public private(set) var hasWaited = false
    public let policy: RefreshPolicy
    public let attempt: AttemptID
    public let origin: InstanceID
    private let ignoresBackoff: Bool
    /// Waiters reread at this pace when no message wakes them.
    private let fallbackReread: Duration
    private let giveUpAt: MonotonicTime
    private var generator: SplitMix64
    private var state = State.beginning
    private var lostReplies = 0
    private var recovering: AttemptID?
    /// The generation whose token this flight has asked to send once more.
    private var recoveringGeneration: Generation?
    private var hasReplayed = false
    /// Since when the store has answered that another instance's intent waits for its one re-send.
    private var lastChanceSince: MonotonicTime?
    /// How long the origin of an intent has, from the moment on at which the store answers, to bring what its journal
    /// holds. Whoever finds the store back tries at least every two seconds.
    static let originHeadStart = Duration.seconds(3)

    /// - Parameters:
    ///   - attempt: unique over the fleet and for ever.
    ///   - fallbackReread: base of the jittered pause of a waiter (design: 250 ms; hosted: 1 s).
    ///   - patience: the longest time this flight waits for other attempts before it ends with `timed_out`.
    public init(
        account: AccountID, demand: RefreshDemand, policy: RefreshPolicy, attempt: AttemptID, origin: InstanceID,
        ignoresBackoff: Bool = false, fallbackReread: Duration, patience: Duration, startedAt: MonotonicTime,
        seed: UInt64
    ) {
        self.account = account
        self.demand = demand
        self.policy = policy
        self.attempt = attempt
        self.origin = origin
        self.ignoresBackoff = ignoresBackoff
        self.fallbackReread = fallbackReread
        self.giveUpAt = startedAt + patience
        self.generator = SplitMix64(seed: seed)
    }

    public mutating func start() -> Step { begin() }

    /// Takes what came of the last step and answers with the next one.
    public mutating func handle(_ event: Event, now: Now) -> Step {
        switch (state, event) {
        case (.beginning, .began(let reply, let sentAt)):
            return began(reply, sentAt: sentAt, now: now)
        case (.beginning, .beginFailed(let error)):
            return beginFailed(error)
        case (.waiting, .woken):
            return begin()
        case (.replaying, .replayed):
            // Whether or not the journal had it: what holds now is what BEGIN says.
            return begin()
        case (.replaying, .replayFailed(let error)):
            // Going on could end in a re-send of a token whose answer is here.
            return finish(
                .failed(
                    RefreshFailure(
                        .storeUnavailable, "the new token is safe in the journal, but \(error.message)"), nil))
        case (.exchanging(let claim), .exchanged(let outcome)):
            return exchanged(outcome, claim: claim, now: now)
        case (.exchanging(let claim), .unsent(let reason)):
            return settle(
                claim, RefreshFault(kind: .unsent, message: reason), code: .providerUnavailable, now: now)
        case (.exchanging(let claim), .unreachable(let reason)):
            return settle(
                claim, RefreshFault(kind: .unsent, message: reason), code: .providerUnavailable, now: now,
                health: .failing)
        case (.exchanging(let claim), .unanswered(let reason)):
            return ambiguous(claim, reason, now: now)
        case (.committing(let claim, let request), .committed(let reply)):
            return committed(reply, claim: claim, request: request)
        case (.committing(let claim, let request), .commitFailed(let error)):
            if lostReplies < Self.repeatsAfterLostReply, error.code == .outcomeUnknown {
                lostReplies += 1
                return .commit(request)
            }
            // The journal keeps the answer and commits it as soon as the store is back.
            return finish(
                .failed(
                    RefreshFailure(.storeUnavailable, "the new token is safe in the journal, but \(error.message)"),
                    claim.account))
        case (.settling(_, let failure), .settled(let reply)):
            return settled(reply, failure: failure)
        case (.settling(_, let failure), .settleFailed):
            return finish(.failed(failure, nil))
        case (.givingWay(let until, let isPromised), .settled(.settled(let snapshot))):
            return limited(snapshot, until: until, isPromised: isPromised, now: now)
        case (.givingWay, .settled):
            return begin()
        case (.givingWay, .settleFailed(let error)):
            return finish(.failed(RefreshFailure(.storeUnavailable, error.message), nil))
        default:
            // A driver that answers with an event of another step is a bug; the flight ends without spending.
            return finish(
                .failed(RefreshFailure(.timedOut, "the refresh lost its thread in state \(stateName)"), nil))
        }
    }

    // MARK: BEGIN

    private mutating func begin() -> Step {
        state = .beginning
        return .begin(
            BeginRequest(
                account: account, provider: policy.provider, demand: demand, attempt: attempt, origin: origin,
                lockTTL: policy.lockTTL, recovering: recovering, ignoresBackoff: ignoresBackoff,
                failoverHold: policy.failoverHold, rateLimit: policy.rateLimit))
    }

    private mutating func beginFailed(_ error: StoreError) -> Step {
        if error.code == .outcomeUnknown, lostReplies < Self.repeatsAfterLostReply {
            lostReplies += 1
            return begin()
        }
        // Fail closed: an error is neither "held" nor "free" (I6).
        let failure = RefreshFailure(.storeUnavailable, error.message)
        guard lostReplies > 0 || error.code == .outcomeUnknown, let generation = recoveringGeneration else {
            return finish(.failed(failure, nil))
        }
        // The store may have counted the one re-send, which this flight is not going to make: it is given back.
        let request = SettleRequest(
            account: account, provider: policy.provider, attempt: attempt, generation: generation,
            disposition: .released, fault: RefreshFault(kind: .unsent, message: error.message),
            retryAfter: policy.backoffBase)
        state = .settling(request, failure)
        return .settle(request)
    }

    private mutating func began(_ reply: BeginReply, sentAt: MonotonicTime, now: Now) -> Step {
        switch reply {
        case .granted(let claim):
            lostReplies = 0
            let sendBy = sentAt + policy.sendBy
            guard now.monotonic < sendBy else {
                return settle(
                    claim,
                    RefreshFault(kind: .unsent, message: "the claim was granted too late to be used"),
                    code: .providerUnavailable, now: now)
            }
            state = .exchanging(claim)
            return .exchange(claim, sendBy: sendBy, deadline: sendBy + policy.exchangeDeadline)
        case .fresh(let snapshot):
            return finish(.newer(snapshot))
        case .blocked(let snapshot):
            return finish(.failed(blockedFailure(snapshot), snapshot))
        case .cooling(let snapshot, let until, let cause):
            return finish(.failed(coolingFailure(until: until, cause: cause), snapshot))
        case .paused(let snapshot, let until, let cause):
            return finish(.failed(pausedFailure(snapshot.provider, until: until, cause: cause), snapshot))
        case .limited(let snapshot, let until, let isPromised):
            return limited(snapshot, until: until, isPromised: isPromised, now: now)
        case .overLimit(let claim, let until, let isPromised):
            let request = SettleRequest(
                account: account, provider: claim.account.provider, attempt: attempt, generation: claim.generation,
                disposition: .limited, fault: RefreshFault(kind: .throttled, message: "rate limit"),
                retryAfter: max(until - now.wall, .milliseconds(1)))
            state = .givingWay(until: until, isPromised: isPromised)
            return .settle(request)
        case .held(let snapshot, let remaining):
            return wait(snapshot, atMost: remaining, now: now)
        case .pending(let snapshot, let intent, let age):
            return recover(snapshot, intent, age: age, now: now)
        case .foreignIntent(let snapshot):
            return finish(
                .failed(
                    RefreshFailure(
                        .outcomeUnknown,
                        "an instance of a newer version has a refresh under way: update this instance"), snapshot))
        case .missing:
            return finish(.failed(RefreshFailure(.accountNotFound, "no account \(account)"), nil))
        case .undurable(let claim, let reason):
            // The mark may be lost with the server that has it: the token stays here (I1), the mark is taken back.
            return settle(
                claim, RefreshFault(kind: .unsent, message: "nothing was sent to the provider: \(reason)"),
                code: .storeUnavailable, now: now)
        case .quarantined(let snapshot, let until, let reason):
            return finish(.failed(RefreshFailure(.storeUnavailable, reason, retryAt: until), snapshot))
        case .rolledBack(let snapshot):
            return finish(
                .failed(
                    RefreshFailure(
                        .storeUnavailable,
                        "Redis has lost newer tokens of \(account) (it is back at generation \(snapshot.generation)): "
                            + "waiting for the instance that can put them back", retryAt: now.wall + policy.backoffBase
                    ), snapshot))
        }
    }

    private mutating func wait(_ snapshot: AccountSnapshot, atMost limit: Duration, now: Now) -> Step {
        guard now.monotonic < giveUpAt else {
            return finish(
                .failed(
                    RefreshFailure(.timedOut, "another instance has been refreshing \(account) for too long"),
                    snapshot))
        }
        state = .waiting
        hasWaited = true
        // Meanwhile the journal may get what it did not hold before.
        hasReplayed = false
        let base = fallbackReread.wholeMilliseconds
        // Fall-back plus or minus a quarter: instances that were woken together do not stay together.
        let pause = Int64.random(in: (base * 3 / 4)...(base * 5 / 4), using: &generator)
        let until = min(now.monotonic + min(.milliseconds(pause), max(limit, .milliseconds(1))), giveUpAt)
        return .wait(until: until)
    }

    /// The provider's rate limit is used up for now. Who has no token waits for the slot that is promised.
    private mutating func limited(
        _ snapshot: AccountSnapshot, until: WallTime, isPromised: Bool, now: Now
    ) -> Step {
        // A promise is for a moment, and it is kept open a little: who comes too early is sent away once more.
        let slot = now.monotonic + max(until - now.wall, .zero) + .milliseconds(5)
        if isPromised, slot < giveUpAt {
            state = .waiting
            hasWaited = true
            return .wait(until: slot)
        }
        let limit = policy.rateLimit.map { "\($0.requests) in \(Int($0.per.inSeconds.rounded(.up))) s" } ?? "none"
        let message = "the rate limit of provider \(snapshot.provider) (\(limit)) is used up for now"
        return finish(
            .failed(
                RefreshFailure(.providerThrottled, message, retryAt: until, cause: .throttled, isHeldBack: true),
                snapshot))
    }

    private func blockedFailure(_ snapshot: AccountSnapshot) -> RefreshFailure {
        if !snapshot.enabled {
            return RefreshFailure(.disabled, "the account is paused: resume it first")
        }
        return policy.reauthorizationFailure(snapshot)
    }

    private func pausedFailure(_ provider: ProviderName, until: WallTime, cause: RefreshFault) -> RefreshFailure {
        let (code, message): (RefreshFailure.Code, String) =
            switch cause.kind {
            case .throttled: (.providerThrottled, cause.message)
            case .misconfigured: (.providerMisconfigured, cause.message)
            default:
                (
                    .providerUnavailable,
                    "provider \(provider) fails and is left alone for a while: \(cause.message)"
                )
            }
        return RefreshFailure(code, message, retryAt: until, cause: cause.kind, isHeldBack: true)
    }

    private func coolingFailure(until: WallTime, cause: RefreshFault) -> RefreshFailure {
        let code: RefreshFailure.Code =
            switch cause.kind {
            case .throttled: .providerThrottled
            case .misconfigured: .providerMisconfigured
            case .ambiguous, .outcomeUnknown: .outcomeUnknown
            case .unsent, .refused: .coolingDown
            }
        return RefreshFailure(code, cause.message, retryAt: until, cause: cause.kind)
    }

    // MARK: The answer of the exchange

    private mutating func exchanged(_ outcome: ExchangeOutcome, claim: RefreshClaim, now: Now) -> Step {
        switch outcome {
        case .rotated(let grant):
            let request = commitRequest(claim, grant, now: now)
            state = .committing(claim, request)
            lostReplies = 0
            return .commit(request)
        case .refused(let reason):
            let fault =
                claim.isRecovery
                ? RefreshFault(
                    kind: .outcomeUnknown,
                    message: "the answer to an earlier refresh was lost, and the re-send was refused: \(reason)")
                : RefreshFault(kind: .refused, message: reason)
            return settle(claim, fault, code: .reauthRequired, now: now, health: .answering)
        case .misconfigured(let reason):
            let delay = max(backoff(claim, now: now), Self.shortestMisconfigurationPause)
            return settle(
                claim, RefreshFault(kind: .misconfigured, message: reason), code: .providerMisconfigured, now: now,
                retryAfter: delay, pause: min(delay, Self.longestPause), health: .failing)
        case .throttled(let reason, let retryAfter):
            let pause = min(max(retryAfter ?? .seconds(30), .seconds(1)), Self.longestPause)
            return settle(
                claim, RefreshFault(kind: .throttled, message: reason), code: .providerThrottled, now: now,
                retryAfter: pause, pause: pause)
        case .ambiguous(let reason):
            return ambiguous(claim, reason, now: now)
        }
    }

    private mutating func commitRequest(_ claim: RefreshClaim, _ grant: TokenGrant, now: Now) -> CommitRequest {
        // Both times on one clock, even where that was set during the exchange: see ``AccountSnapshot/isValid(at:)``.
        let obtainedAt = min(grant.requestedAt ?? now.wall, grant.expiresAt)
        var request = CommitRequest(
            claim: claim, grant: grant, obtainedAt: obtainedAt,
            dueAt: policy.dueTime(expiresAt: grant.expiresAt, obtainedAt: obtainedAt, using: &generator))
        request.takeTerm(of: grant, account: claim.account, policy: policy, now: now.wall)
        // Not at once, however short the life: a provider that issues dead tokens is not asked without pause.
        request.dueAt = max(request.dueAt, now.wall + policy.backoffBase)
        return request
    }

    private mutating func ambiguous(_ claim: RefreshClaim, _ reason: String, now: Now) -> Step {
        let fault = RefreshFault(kind: .ambiguous, message: reason)
        let retryAfter = recoveryDelay(claim.account, resends: claim.isRecovery ? 1 : 0, now: now)
        return settle(
            claim, fault, code: .outcomeUnknown, now: now, retryAfter: retryAfter, health: .failing)
    }

    private mutating func committed(_ reply: CommitReply, claim: RefreshClaim, request: CommitRequest) -> Step {
        switch reply {
        case .committed(let enabled):
            return finish(.refreshed(request.snapshot(after: claim.account, enabled: enabled)))
        case .already:
            return finish(.refreshed(request.snapshot(after: claim.account, enabled: claim.account.enabled)))
        case .orphaned, .superseded:
            // The account has moved on; what it is now, BEGIN says. Never a second claim for this attempt.
            demand = .newerThan(claim.generation)
            return begin()
        case .behind(let generation):
            // The journal keeps the answer until the generations in between are back.
            return finish(
                .failed(
                    RefreshFailure(
                        .storeUnavailable,
                        "the new token is safe in the journal, but Redis has gone back to generation \(generation)"),
                    claim.account))
        case .unconfirmed(let outcome, _):
            return committed(outcome, claim: claim, request: request)
        }
    }

    // MARK: Settling a failure

    /// What a person can do about a refused account that has an orphan.
    private static let orphanAdvice = "an orphan may hold its newest token: restore it, drop it, or log in again"

    private mutating func backoff(_ claim: RefreshClaim, now: Now) -> Duration {
        policy.backoff(
            failures: claim.account.failures + 1, remaining: claim.account.remaining(at: now.wall), using: &generator)
    }

    private mutating func settle(
        _ claim: RefreshClaim, _ fault: RefreshFault, code: RefreshFailure.Code, now: Now,
        retryAfter: Duration? = nil, pause: Duration? = nil, health: ProviderHealth = .unknown
    ) -> Step {
        let delay = retryAfter ?? pause ?? backoff(claim, now: now)
        let request = SettleRequest(
            account: account, provider: claim.account.provider, attempt: attempt, generation: claim.generation,
            disposition: disposition(of: code), fault: fault, retryAfter: delay, pauseProvider: pause,
            refusedToken: code == .reauthRequired ? claim.refreshToken : nil, health: health,
            circuitBreaker: policy.circuitBreaker,
            jitter: policy.circuitBreaker == nil ? 0 : Int.random(in: 0...1000, using: &generator),
            followsFailures: claim.followsFailures)
        let failure = RefreshFailure(
            code, fault.message, retryAt: code == .reauthRequired ? nil : now.wall + delay, cause: fault.kind)
        state = .settling(request, failure)
        return .settle(request)
    }

    private func disposition(of code: RefreshFailure.Code) -> SettleRequest.Disposition {
        switch code {
        case .reauthRequired: .refused
        case .outcomeUnknown: .unresolved
        default: .released
        }
    }

    private mutating func settled(_ reply: SettleReply, failure: RefreshFailure) -> Step {
        switch reply {
        case .settled(let snapshot):
            // A refusal that does not count as final (I4) leaves the account alive.
            if failure.code == .reauthRequired, snapshot.status != .reauthRequired {
                return finish(
                    .failed(
                        RefreshFailure(
                            .outcomeUnknown, "\(failure.message); \(Self.orphanAdvice)",
                            retryAt: snapshot.nextAttemptAt, cause: failure.cause), snapshot))
            }
            return finish(.failed(failure, snapshot))
        case .moved(let snapshot):
            return finish(.newer(snapshot))
        case .missing:
            return finish(.failed(RefreshFailure(.accountNotFound, "no account \(account)"), nil))
        }
    }

    // MARK: Recovery of an intent that was left behind

    /// The longest pause before a re-send that a grace allows.
    private static let longestCalm = Duration.seconds(10)

    /// How long to leave an unresolved spend alone before its one re-send.
    private func recoveryDelay(_ snapshot: AccountSnapshot, resends: Int, now: Now) -> Duration {
        switch policy.rotation {
        case .reusable: return policy.backoffBase
        case .grace(let leeway) where resends == 0:
            // Whatever took the first answer should not take the second: a part of the grace is let go by, unless there
            // is no token to live on meanwhile.
            let since = max(now.wall - (snapshot.intent?.firstAt ?? now.wall), .zero)
            let calm = min((leeway - since) / 3, snapshot.remaining(at: now.wall) / 3, Self.longestCalm)
            return max(calm, .milliseconds(1))
        case .grace, .singleUse:
            return max(snapshot.remaining(at: now.wall) - recoveryLead(snapshot), policy.backoffBase)
        }
    }

    /// How long before the access token ends a refresh token of single use is sent once more.
    private func recoveryLead(_ snapshot: AccountSnapshot) -> Duration {
        policy.effectiveSkew(lifetime: snapshot.lifetime) + policy.exchangeDeadline + Self.originHeadStart
    }

    private mutating func recover(
        _ snapshot: AccountSnapshot, _ intent: RefreshIntent, age: Duration, now: Now
    ) -> Step {
        // The origin's journal has its chance first.
        if intent.origin == origin, !hasReplayed {
            hasReplayed = true
            state = .replaying
            return .replay(intent.attempt)
        }
        // An attempt that has not given up may still be alive for as long as its lock could have lived.
        if intent.state == .open, age < policy.lockTTL {
            return wait(snapshot, atMost: policy.lockTTL - age, now: now)
        }
        if intent.state == .refused {
            return postpone(snapshot, intent, by: .seconds(3600), now: now, kind: .refused)
        }
        let sinceFirst = now.wall - intent.firstAt
        let mayResend: Bool
        switch policy.rotation {
        case .reusable:
            mayResend = true
        case .grace(let leeway) where sinceFirst + .seconds(1) < leeway:
            mayResend = intent.resends == 0
        case .grace, .singleUse:
            let lead = recoveryLead(snapshot)
            let lastChance = snapshot.remaining(at: now.wall) <= lead
            if intent.resends == 0, !lastChance {
                return postpone(snapshot, intent, by: snapshot.remaining(at: now.wall) - lead, now: now)
            }
            mayResend = intent.resends == 0
            if mayResend, intent.origin != origin {
                // The store may have been away until a moment ago, for the origin too.
                let since = lastChanceSince ?? now.monotonic
                lastChanceSince = since
                let left = Self.originHeadStart - (now.monotonic - since)
                if left > .zero { return wait(snapshot, atMost: left, now: now) }
            }
        }
        if mayResend {
            recovering = intent.attempt
            recoveringGeneration = intent.generation
            return begin()
        }
        // While the access token lasts there is nothing to log in for; when it ends that is said.
        return snapshot.isValid(at: now.wall)
            ? postpone(snapshot, intent, by: snapshot.remaining(at: now.wall), now: now)
            : postpone(snapshot, intent, by: .seconds(3600), now: now, kind: .outcomeUnknown)
    }

    /// Leaves the intent standing and comes back later; meanwhile the access token is served while it lasts.
    private mutating func postpone(
        _ snapshot: AccountSnapshot, _ intent: RefreshIntent, by delay: Duration, now: Now,
        kind: RefreshFault.Kind = .ambiguous
    ) -> Step {
        let message =
            switch kind {
            case .outcomeUnknown:
                "the answers to a refresh and to its one re-send were lost: log in again, or restore the lost answer"
            case .refused: snapshot.lastFault?.message ?? "the provider refused the refresh token"
            default:
                "the answer to a refresh was lost; the refresh token is not sent again before the access token ends"
            }
        let request = SettleRequest(
            account: account, provider: snapshot.provider, attempt: intent.attempt, generation: intent.generation,
            disposition: .unresolved, fault: RefreshFault(kind: kind, message: message),
            retryAfter: max(delay, policy.backoffBase))
        let failure = RefreshFailure(
            .outcomeUnknown, kind == .refused ? "\(message); \(Self.orphanAdvice)" : message,
            retryAt: now.wall + request.retryAfter, cause: kind)
        state = .settling(request, failure)
        return .settle(request)
    }

    // MARK: The end

    private mutating func finish(_ result: RefreshResult) -> Step {
        state = .finished
        return .finish(result)
    }

    private var stateName: String {
        switch state {
        case .beginning: "beginning"
        case .waiting: "waiting"
        case .replaying: "replaying"
        case .exchanging: "exchanging"
        case .committing: "committing"
        case .settling: "settling"
        case .givingWay: "giving way"
        case .finished: "finished"
        }
    }
}

extension CommitRequest {
    /// The commit of an answer to the spend that `claim` allowed.
    public init(claim: RefreshClaim, grant: TokenGrant, obtainedAt: WallTime, dueAt: WallTime) {
        self.init(
            account: claim.account.id, provider: claim.account.provider, attempt: claim.attempt,
            generation: claim.generation, accessToken: grant.accessToken,
            // A provider that returns no refresh token means "keep the old one" (RFC 6749 §6).
            refreshToken: grant.refreshToken ?? claim.refreshToken, tokenType: grant.tokenType,
            expiresAt: grant.expiresAt, obtainedAt: obtainedAt, dueAt: dueAt, isRecovery: claim.isRecovery,
            clearsFailures: claim.followsFailures)
    }

    /// What the account looks like once this commit has been carried out.
    public func snapshot(after before: AccountSnapshot, enabled: Bool) -> AccountSnapshot {
        var snapshot = before
        snapshot.enabled = enabled
        snapshot.status = .active
        snapshot.generation = generation.next
        snapshot.accessToken = accessToken
        snapshot.tokenType = tokenType
        snapshot.expiresAt = expiresAt
        snapshot.obtainedAt = obtainedAt
        snapshot.updatedAt = obtainedAt
        snapshot.dueAt = dueAt
        snapshot.failures = 0
        snapshot.nextAttemptAt = nil
        snapshot.lastFault = nil
        snapshot.intent = nil
        if let grant { snapshot.grant = grant }
        if let grantStage { snapshot.grantStage = grantStage }
        return snapshot
    }
}
