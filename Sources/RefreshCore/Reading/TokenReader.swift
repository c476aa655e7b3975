/// What a caller wants to know of an account's token.
public struct TokenRequest: Sendable, Hashable {
    public var account: AccountID
    /// The token has to be good for at least this long, where the provider's tokens live that long.
    public var minimumTTL: Duration?
    /// "The token of this generation was refused": wants a newer one, if this is still the newest.
    public var refused: Generation?

    public init(account: AccountID, minimumTTL: Duration? = nil, refused: Generation? = nil) {
        self.account = account
        self.minimumTTL = minimumTTL
        self.refused = refused
    }
}

/// A token for a caller.
public struct TokenAnswer: Sendable, Hashable {
    public enum Source: String, Sendable, Hashable { case memory, redis, refresh }

    public var snapshot: AccountSnapshot
    public var accessToken: Secret
    public var expiresAt: WallTime
    public var source: Source
    /// Valid, but a refresh that should have replaced it has not worked.
    public var isStale: Bool
}

/// Reads tokens in three zones by the time left: fresh, advisory (answered at once, refreshed behind the caller's
/// back) and mandatory (the caller waits for the refresh).
public struct TokenReader: Sendable {
    private let coordinator: RefreshCoordinator
    private let deck: FlightDeck
    private let policies: any PolicySource

    public init(coordinator: RefreshCoordinator, policies: any PolicySource) {
        self.coordinator = coordinator
        self.deck = coordinator.deck
        self.policies = policies
    }

    /// The time left, as a caller has to see it.
    public enum Zone: Sendable, Hashable { case fresh, advisory, mandatory }

    public static func zone(of snapshot: AccountSnapshot, policy: RefreshPolicy, now: WallTime) -> Zone {
        guard snapshot.isValid(at: now) else { return .mandatory }
        let remaining = snapshot.remaining(at: now)
        if remaining <= policy.effectiveSkew(lifetime: snapshot.lifetime) { return .mandatory }
        return remaining <= policy.effectiveWindow(lifetime: snapshot.lifetime) ? .advisory : .fresh
    }

    /// The account from trusted memory when its token is good for everybody right now: the path that costs neither
    /// a Redis command nor a suspension.
    public func warm(_ account: AccountID) -> TokenAnswer? {
        guard let snapshot = deck.cache.trusted(account, now: deck.time.monotonic()), snapshot.enabled,
            let policy = policies.policy(for: snapshot.provider),
            Self.zone(of: snapshot, policy: policy, now: deck.time.wall()) == .fresh
        else { return nil }
        return answer(snapshot, source: .memory, isStale: false)
    }

    /// A token for the account.
    ///
    /// - Throws: ``RefreshFailure`` when there is no valid token and a refresh has not brought one.
    public func token(_ request: TokenRequest) async throws(RefreshFailure) -> TokenAnswer {
        var (snapshot, source) = try await load(request.account)
        // Each round looks at a newer generation; more than a few mean that the account is being replaced steadily.
        for _ in 0..<4 {
            guard snapshot.enabled else {
                throw RefreshFailure(.disabled, "account \(snapshot.id) is paused: resume it first")
            }
            guard let policy = policies.policy(for: snapshot.provider) else {
                // Without the provider nothing can be refreshed here, but a valid token is a valid token.
                if snapshot.generation != request.refused, let answer = validAnswer(snapshot, source, isStale: true) {
                    return answer
                }
                throw RefreshFailure(
                    .unknownProvider, "provider \(snapshot.provider) is not in this instance's configuration")
            }
            let isRefused = request.refused.map { $0 >= snapshot.generation } ?? false
            let zone = Self.zone(of: snapshot, policy: policy, now: deck.time.wall())
            if !isRefused, zone != .mandatory, !isTooShort(snapshot, for: request) {
                if zone == .advisory { await refreshBehind(snapshot) }
                if let answer = validAnswer(snapshot, source, isStale: false) { return answer }
            }
            if snapshot.status == .reauthRequired {
                return try valid(snapshot, source, unless: isRefused, else: reauthFailure(snapshot))
            }
            let (result, _) = await coordinator.refresh(
                snapshot.id, provider: snapshot.provider, demand: .newerThan(snapshot.generation))
            switch result {
            case .refreshed(let newer), .newer(let newer):
                let hasGrown = newer.generation > snapshot.generation
                snapshot = newer
                source = .refresh
                // A provider whose tokens live shorter than asked for cannot do better than a new one.
                if hasGrown, let answer = validAnswer(newer, source, isStale: false) { return answer }
            case .failed(let failure, let newest):
                let best = newest ?? snapshot
                let isBestRefused = request.refused.map { $0 >= best.generation } ?? false
                return try valid(best, source, unless: isBestRefused, else: failure)
            }
        }
        throw RefreshFailure(
            .providerUnavailable, "refreshing \(request.account) brings tokens that have expired already")
    }

    /// The account from memory or from the store.
    private func load(_ account: AccountID) async throws(RefreshFailure) -> (AccountSnapshot, TokenAnswer.Source) {
        if let snapshot = deck.cache.trusted(account, now: deck.time.monotonic()) { return (snapshot, .memory) }
        let ticket = deck.cache.ticket(for: account)
        do {
            guard let snapshot = try await deck.store.read(account) else {
                deck.cache.forget(account)
                throw RefreshFailure(.accountNotFound, "no account \(account)")
            }
            deck.cache.remember(snapshot, since: ticket, now: deck.time.monotonic())
            // The store may have lost a newer token in a failover: as long as it is good it is the one to hand out.
            if let known = deck.cache.lastKnown(account), known.generation > snapshot.generation, snapshot.enabled,
                known.isValid(at: deck.time.wall())
            {
                return (known, .memory)
            }
            return (snapshot, .redis)
        } catch let error as StoreError {
            // The store is away: the last known token is served while it is valid (I5).
            if let snapshot = deck.cache.lastKnown(account), snapshot.isValid(at: deck.time.wall()) {
                return (snapshot, .memory)
            }
            throw RefreshFailure(.storeUnavailable, error.message)
        } catch let failure as RefreshFailure {
            throw failure
        } catch {
            throw RefreshFailure(.storeUnavailable, "reading the account failed")
        }
    }

    private func isTooShort(_ snapshot: AccountSnapshot, for request: TokenRequest) -> Bool {
        guard let minimum = request.minimumTTL else { return false }
        let remaining = snapshot.remaining(at: deck.time.wall())
        guard remaining < minimum else { return false }
        // A token in the first tenth of its life is as good as this provider's tokens get: asking for more would
        // otherwise make every read a refresh.
        guard let lifetime = snapshot.lifetime else { return true }
        return lifetime - remaining > lifetime / 10
    }

    private func refreshBehind(_ snapshot: AccountSnapshot) async {
        if let next = snapshot.nextAttemptAt, next > deck.time.wall() { return }
        guard snapshot.status != .reauthRequired else { return }
        await coordinator.refreshInBackground(
            snapshot.id, provider: snapshot.provider, demand: .newerThan(snapshot.generation))
    }

    private func reauthFailure(_ snapshot: AccountSnapshot) -> RefreshFailure {
        let cause = snapshot.lastFault.map { ": \($0.message)" } ?? ""
        return RefreshFailure(.reauthRequired, "log in again and put the new refresh token\(cause)")
    }

    private func valid(
        _ snapshot: AccountSnapshot, _ source: TokenAnswer.Source, unless isRefused: Bool,
        else failure: RefreshFailure
    ) throws(RefreshFailure) -> TokenAnswer {
        guard !isRefused, snapshot.enabled, let answer = validAnswer(snapshot, source, isStale: true) else {
            throw failure
        }
        deck.statistics.servedStale()
        return answer
    }

    private func validAnswer(
        _ snapshot: AccountSnapshot, _ source: TokenAnswer.Source, isStale: Bool
    ) -> TokenAnswer? {
        guard snapshot.isValid(at: deck.time.wall()) else { return nil }
        return answer(snapshot, source: source, isStale: isStale)
    }

    private func answer(_ snapshot: AccountSnapshot, source: TokenAnswer.Source, isStale: Bool) -> TokenAnswer? {
        guard let accessToken = snapshot.accessToken, let expiresAt = snapshot.expiresAt else { return nil }
        return TokenAnswer(
            snapshot: snapshot, accessToken: accessToken, expiresAt: expiresAt, source: source, isStale: isStale)
    }
}
