/// Recovery of an intent that was left behind.
extension RefreshMachine {
    /// The longest pause before a re-send that a grace allows.
    private static let longestCalm = Duration.seconds(10)

    /// How long to leave an unresolved spend alone before its one re-send.
    func recoveryDelay(_ snapshot: AccountSnapshot, resends: Int, now: Now) -> Duration {
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

    mutating func recover(
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
}
