/// What an exchange has brought, and what the store makes of that.
extension RefreshMachine {
    mutating func exchanged(_ outcome: ExchangeOutcome, claim: RefreshClaim, now: Now) -> Step {
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

    mutating func ambiguous(_ claim: RefreshClaim, _ reason: String, now: Now) -> Step {
        let fault = RefreshFault(kind: .ambiguous, message: reason)
        let retryAfter = recoveryDelay(claim.account, resends: claim.isRecovery ? 1 : 0, now: now)
        return settle(
            claim, fault, code: .outcomeUnknown, now: now, retryAfter: retryAfter, health: .failing)
    }

    mutating func committed(_ reply: CommitReply, claim: RefreshClaim, request: CommitRequest) -> Step {
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
    static let orphanAdvice = "an orphan may hold its newest token: restore it, drop it, or log in again"

    private mutating func backoff(_ claim: RefreshClaim, now: Now) -> Duration {
        policy.backoff(
            failures: claim.account.failures + 1, remaining: claim.account.remaining(at: now.wall), using: &generator)
    }

    mutating func settle(
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

    mutating func settled(_ reply: SettleReply, failure: RefreshFailure) -> Step {
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
}
