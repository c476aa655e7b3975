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

    enum State: Sendable {
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
    public internal(set) var demand: RefreshDemand
    /// Whether this flight waited for somebody else's attempt.
    public private(set) var hasWaited = false
    public let policy: RefreshPolicy
    public let attempt: AttemptID
    public let origin: InstanceID
    private let ignoresBackoff: Bool
    /// Waiters reread at this pace when no message wakes them.
    private let fallbackReread: Duration
    private let giveUpAt: MonotonicTime
    var generator: SplitMix64
    var state = State.beginning
    var lostReplies = 0
    var recovering: AttemptID?
    /// The generation whose token this flight has asked to send once more.
    var recoveringGeneration: Generation?
    var hasReplayed = false
    /// Since when the store has answered that another instance's intent waits for its one re-send.
    var lastChanceSince: MonotonicTime?
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

    mutating func begin() -> Step {
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

    mutating func wait(_ snapshot: AccountSnapshot, atMost limit: Duration, now: Now) -> Step {
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

    // MARK: The end

    mutating func finish(_ result: RefreshResult) -> Step {
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
