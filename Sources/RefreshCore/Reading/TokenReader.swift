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
    let deck: FlightDeck
    private let policies: any PolicySource
    /// Nil where none are configured.
    let fallbacks: FallbackDesk?

    public init(coordinator: RefreshCoordinator, policies: any PolicySource, fallbacks: FallbackDesk? = nil) {
        self.fallbacks = fallbacks
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
        return TokenAnswer(snapshot, source: .memory, isStale: false)
    }

    /// A token for the account.
    ///
    /// - Throws: ``RefreshFailure`` when there is no valid token and a refresh has not brought one.
    public func token(_ request: TokenRequest) async throws(RefreshFailure) -> TokenAnswer {
        let (snapshot, source) = try await load(request.account)
        var reading = TokenReading(request: request)
        var step = reading.look(
            at: snapshot, source: source, policy: policies.policy(for: snapshot.provider), now: deck.time.wall())
        while true {
            switch step {
            case .answer(let answer, let refreshes):
                if refreshes { await refreshBehind(answer.snapshot) }
                if answer.isStale { deck.statistics.servedStale() }
                return answer
            case .fail(let failure): throw failure
            case .refresh(let account, let provider, let generation):
                if reading.isReplacing, let failure = rest(of: account, refused: generation) { throw failure }
                let (result, _) = await coordinator.refresh(
                    account, provider: provider, demand: .newerThan(generation))
                if reading.isReplacing { noteReplacement(of: account, result) }
                let provider = result.snapshot?.provider ?? provider
                step = reading.refreshed(
                    result, known: deck.cache.lastKnown(account), policy: policies.policy(for: provider),
                    now: deck.time.wall())
            }
        }
    }

    /// Whether a refresh can be asked for because the token of that generation was refused: see ``RefusalDamper``.
    public func canReplace(_ account: AccountID, refused generation: Generation) -> Bool {
        deck.damper.rest(of: account, refused: generation, now: deck.time.monotonic()) == nil
    }

    private func rest(of account: AccountID, refused generation: Generation) -> RefreshFailure? {
        let now = deck.time.monotonic()
        guard let until = deck.damper.rest(of: account, refused: generation, now: now) else { return nil }
        return RefreshFailure(
            .coolingDown,
            """
            the token of \(account) was refused, and had replaced another refused one a moment ago: it is not its age, \
            so it is not refreshed again for now; see whether the account may do what it is used for
            """, retryAt: deck.time.wall() + (until - now), isHeldBack: true)
    }

    private func noteReplacement(of account: AccountID, _ result: RefreshResult) {
        switch result {
        case .refreshed(let newer), .newer(let newer):
            deck.damper.replaced(account, by: newer.generation, now: deck.time.monotonic())
        case .failed: break
        }
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

    func refreshBehind(_ snapshot: AccountSnapshot) async {
        await coordinator.refreshInBackground(
            snapshot.id, provider: snapshot.provider, demand: .newerThan(snapshot.generation))
    }
}
