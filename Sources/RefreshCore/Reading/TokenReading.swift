/// One caller's read of one token: the decisions of ``TokenReader``, without its input and output.
///
/// The driver performs the returned ``Step``; after a refresh it feeds back the result, until there is an answer.
public struct TokenReading: Sendable {
    /// What the driver is to do next.
    public enum Step: Sendable {
        /// Hand it out; and start a refresh behind the caller's back, if asked to.
        case answer(TokenAnswer, refreshBehind: Bool)
        /// Wait for a generation newer than this one.
        case refresh(AccountID, ProviderName, newerThan: Generation)
        case fail(RefreshFailure)
    }

    /// Each round looks at a newer generation; more than a few mean that the account is being replaced steadily.
    static let mostRounds = 4

    public let request: TokenRequest
    /// The account as it was looked at last.
    package private(set) var snapshot: AccountSnapshot?
    /// The refresh that was asked for last replaces a token that would be good, had it not been refused.
    package private(set) var isReplacing = false
    private var source = TokenAnswer.Source.memory
    private var rounds = 0

    public init(request: TokenRequest) {
        self.request = request
    }

    /// - Parameter policy: nil when this instance's configuration does not know the provider.
    public mutating func look(
        at snapshot: AccountSnapshot, source: TokenAnswer.Source, policy: RefreshPolicy?, now: WallTime
    ) -> Step {
        self.snapshot = snapshot
        self.source = source
        rounds += 1
        guard rounds <= Self.mostRounds else {
            return .fail(
                RefreshFailure(
                    .providerUnavailable, "refreshing \(request.account) brings tokens that have expired already"))
        }
        guard snapshot.enabled else {
            return .fail(RefreshFailure(.disabled, "account \(snapshot.id) is paused: resume it first"))
        }
        let isRefused = isRefused(snapshot)
        guard let policy else {
            // Without the provider nothing can be refreshed here, but a valid token is a valid token.
            let failure = RefreshFailure(
                .unknownProvider, "provider \(snapshot.provider) is not in this instance's configuration")
            return isRefused ? .fail(failure) : lastResort(snapshot, now: now, failure)
        }
        let zone = TokenReader.zone(of: snapshot, policy: policy, now: now)
        if !isRefused, zone != .mandatory, !isTooShort(snapshot, now: now),
            let answer = validAnswer(snapshot, isStale: false, now: now)
        {
            return .answer(answer, refreshBehind: zone == .advisory && isWorthATry(snapshot, now: now))
        }
        if snapshot.status == .reauthRequired {
            let failure = policy.reauthorizationFailure(snapshot)
            return isRefused ? .fail(failure) : lastResort(snapshot, now: now, failure)
        }
        isReplacing = isRefused && zone != .mandatory
        return .refresh(snapshot.id, snapshot.provider, newerThan: snapshot.generation)
    }

    /// - Parameters:
    ///   - known: what this instance remembers by now. A flight that has failed may tell of an older generation: the
    ///     reply to its COMMIT was lost, and somebody has read the account since (I5).
    ///   - policy: of the provider of the account that came out of it.
    public mutating func refreshed(
        _ result: RefreshResult, known: AccountSnapshot?, policy: RefreshPolicy?, now: WallTime
    ) -> Step {
        switch result {
        case .refreshed(let newer), .newer(let newer):
            // A provider whose tokens live shorter than asked for cannot do better than a new one.
            // An account that was paused meanwhile is not served.
            // One that others have brought may be the very one that was refused, where this instance knew an older one.
            var isAnother = true
            if case .newer = result { isAnother = !isRefused(newer) }
            if isAnother, let before = snapshot, newer.generation > before.generation, newer.enabled {
                source = .refresh
                if let answer = validAnswer(newer, isStale: false, now: now) {
                    return .answer(answer, refreshBehind: false)
                }
            }
            return look(at: newer, source: .refresh, policy: policy, now: now)
        case .failed(let failure, let newest):
            guard var best = newest ?? snapshot else { return .fail(failure) }
            if let known, known.generation > best.generation { best = known }
            guard !isRefused(best) else { return .fail(failure) }
            return lastResort(best, now: now, failure)
        }
    }

    private func isRefused(_ snapshot: AccountSnapshot) -> Bool {
        request.refused.map { $0 >= snapshot.generation } ?? false
    }

    private func isTooShort(_ snapshot: AccountSnapshot, now: WallTime) -> Bool {
        guard let minimum = request.minimumTTL else { return false }
        let remaining = snapshot.remaining(at: now)
        guard remaining < minimum else { return false }
        // A token in the first tenth of its life is as good as this provider's tokens get: asking for more would
        // otherwise make every read a refresh.
        guard let lifetime = snapshot.lifetime else { return true }
        return lifetime - remaining > lifetime / 10
    }

    private func isWorthATry(_ snapshot: AccountSnapshot, now: WallTime) -> Bool {
        if let next = snapshot.nextAttemptAt, next > now { return false }
        return snapshot.status != .reauthRequired
    }

    /// A token that should have been replaced is still better than none, while it is valid (I5).
    private func lastResort(_ snapshot: AccountSnapshot, now: WallTime, _ failure: RefreshFailure) -> Step {
        guard snapshot.enabled, let answer = validAnswer(snapshot, isStale: true, now: now) else {
            return .fail(failure)
        }
        return .answer(answer, refreshBehind: false)
    }

    private func validAnswer(_ snapshot: AccountSnapshot, isStale: Bool, now: WallTime) -> TokenAnswer? {
        snapshot.isValid(at: now) ? TokenAnswer(snapshot, source: source, isStale: isStale) : nil
    }
}

extension TokenAnswer {
    /// Nil for an account that has no access token yet. Whether it is still valid is the caller's affair.
    package init?(_ snapshot: AccountSnapshot, source: Source, isStale: Bool) {
        guard let accessToken = snapshot.accessToken, let expiresAt = snapshot.expiresAt else { return nil }
        self.init(
            snapshot: snapshot, accessToken: accessToken, expiresAt: expiresAt, source: source, isStale: isStale)
    }
}
