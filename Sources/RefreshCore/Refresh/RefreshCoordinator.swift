import Logging

/// Everything this instance does about refreshing: one flight per account, its callers, and what failed flights left.
///
/// Flights run detached from their callers: a caller that hangs up never abandons a rotation.
public actor RefreshCoordinator {
    public struct Configuration: Sendable {
        /// Fall-back reread of waiters: 250 ms, hosted 1 s.
        public var fallbackReread: Duration
        /// The longest a flight waits for other instances' attempts.
        public var patience: Duration

        public init(fallbackReread: Duration = .milliseconds(250), patience: Duration = .seconds(75)) {
            self.fallbackReread = fallbackReread
            self.patience = patience
        }
    }

    /// What a caller of ``refresh(_:provider:demand:ignoresBackoff:)`` is told.
    public enum Outcome: String, Sendable, Hashable {
        case refreshed, joined
        case alreadyNewer = "already_newer"
    }

    public nonisolated let deck: FlightDeck
    public let origin: InstanceID
    private let policies: any PolicySource
    private let configuration: Configuration
    private var generator: any RandomNumberGenerator
    private var flights: [AccountID: Flight] = [:]
    private var replaying: [AttemptID: Task<Replay, Never>] = [:]
    private var deferred: [AttemptID: DeferredSettlement] = [:]
    /// Since when the store has been behind what this instance knows, by account.
    private var behindSince: [AccountID: MonotonicTime] = [:]
    private var isShuttingDown = false

    private struct Flight {
        var attempt: AttemptID
        var task: Task<Landing, Never>
    }

    private struct Landing: Sendable {
        var result: RefreshResult
        var hasWaited: Bool
    }

    /// - Parameter generator: source of attempt ids; must not repeat over the fleet and for ever.
    public init(
        deck: FlightDeck, policies: any PolicySource, origin: InstanceID, configuration: Configuration = .init(),
        generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.deck = deck
        self.policies = policies
        self.origin = origin
        self.configuration = configuration
        self.generator = generator
    }

    /// Joins the flight of the account, or starts one, and waits for its end.
    ///
    /// Callers wait outside the actor, so that hundreds who waited for one flight do not queue up for it once more.
    ///
    /// - Parameter provider: the account's provider, as last seen: its policy rules this flight.
    public nonisolated func refresh(
        _ account: AccountID, provider: ProviderName, demand: RefreshDemand, ignoresBackoff: Bool = false
    ) async -> (result: RefreshResult, outcome: Outcome) {
        while true {
            switch await board(account, provider: provider, demand: demand, ignoresBackoff: ignoresBackoff) {
            case .answered(let result, let outcome): return (result, outcome)
            case .launched(let task):
                let landing = await task.value
                switch landing.result {
                case .refreshed, .failed: return (landing.result, .refreshed)
                case .newer: return (landing.result, landing.hasWaited ? .joined : .alreadyNewer)
                }
            case .joined(let task):
                let landing = await task.value
                // A flight with a lesser demand (the schedule's: nothing due) may end without what this caller wants.
                if case .newer(let snapshot) = landing.result, case .newerThan(let generation) = demand,
                    snapshot.generation <= generation
                {
                    continue
                }
                return (landing.result, .joined)
            }
        }
    }

    private enum Boarding {
        case answered(RefreshResult, Outcome)
        case joined(Task<Landing, Never>)
        case launched(Task<Landing, Never>)
    }

    private func board(
        _ account: AccountID, provider: ProviderName, demand: RefreshDemand, ignoresBackoff: Bool
    ) -> Boarding {
        if let flight = flights[account] { return .joined(flight.task) }
        if case .newerThan(let generation) = demand,
            let known = deck.cache.trusted(account, now: deck.time.monotonic()), known.generation > generation
        {
            return .answered(.newer(known), .alreadyNewer)
        }
        guard !isShuttingDown else {
            return .answered(.failed(RefreshFailure(.shuttingDown, "this instance is shutting down"), nil), .joined)
        }
        guard let policy = policies.policy(for: provider) else {
            let failure = RefreshFailure(
                .unknownProvider, "provider \(provider) is not in this instance's configuration: add it under providers"
            )
            return .answered(.failed(failure, nil), .joined)
        }
        return .launched(launch(account, policy: policy, demand: demand, ignoresBackoff: ignoresBackoff))
    }

    /// Starts a flight that nobody waits for, unless one is under way.
    public func refreshInBackground(_ account: AccountID, provider: ProviderName, demand: RefreshDemand) {
        guard flights[account] == nil, !isShuttingDown, let policy = policies.policy(for: provider) else { return }
        _ = launch(account, policy: policy, demand: demand, ignoresBackoff: false)
    }

    public func isRefreshing(_ account: AccountID) -> Bool { flights[account] != nil }

    /// Lets flights under way land, and starts no new ones.
    public func shutDown() async {
        isShuttingDown = true
        while let flight = flights.values.first { _ = await flight.task.value }
    }

    private func launch(
        _ account: AccountID, policy: RefreshPolicy, demand: RefreshDemand, ignoresBackoff: Bool
    ) -> Task<Landing, Never> {
        let attempt = AttemptID(using: &generator)
        let machine = RefreshMachine(
            account: account, demand: demand, policy: policy, attempt: attempt, origin: origin,
            ignoresBackoff: ignoresBackoff, fallbackReread: configuration.fallbackReread,
            patience: configuration.patience, startedAt: deck.time.monotonic(), seed: generator.next())
        // Detached as design §4 asks: neither a caller's cancellation nor its priority reaches a rotation.
        let ticket = deck.cache.editTicket(for: account)
        let task = Task.detached { [deck] in
            var flight = RefreshFlight(deck: deck, machine: machine, provider: policy.provider, control: self)
            let result = await flight.run()
            await self.landed(account, result, since: ticket)
            return Landing(result: result, hasWaited: flight.machine.hasWaited)
        }
        flights[account] = Flight(attempt: attempt, task: task)
        return task
    }

    private func landed(_ account: AccountID, _ result: RefreshResult, since ticket: TokenCache.EditTicket) {
        flights[account] = nil
        switch result {
        case .refreshed, .newer: behindSince[account] = nil
        case .failed: break
        }
        if case .refreshed(let snapshot) = result {
            deck.cache.rememberCommitted(snapshot, since: ticket, now: deck.time.monotonic())
        }
        guard case .failed(let failure, _) = result, failure.code != .outcomeUnknown else { return }
        let metadata: Logger.Metadata = ["account": "\(account)", "code": "\(failure.code.rawValue)"]
        switch failure.code {
        case .reauthRequired:
            deck.logger.error("refresh refused: \(failure.message)", metadata: metadata)
        case .coolingDown, .disabled, .accountNotFound,
            _ where failure.isHeldBack:
            deck.logger.debug("no refresh: \(failure.message)", metadata: metadata)
        case .storeUnavailable where failure.retryAt != nil:
            // The store is there but not to be relied on now: said once, where that was found out.
            deck.logger.debug("no refresh: \(failure.message)", metadata: metadata)
        default:
            deck.logger.warning("refresh failed: \(failure.message)", metadata: metadata)
        }
    }
}

// MARK: What earlier flights left behind

extension RefreshCoordinator {
    /// How a pass over the journal went.
    public struct ReplayReport: Sendable, Hashable {
        public var committed = 0
        public var orphaned = 0
        public var unusable = 0
        public var waiting = 0
    }

    /// Commits every journal entry that is not known to be in the store, and repeats settlements that the store did
    /// not take. Called at start and whenever the store is back; both are idempotent.
    public func recoverLeftovers() async -> ReplayReport {
        var report = ReplayReport()
        for entry in await deck.journal.pending() where !isUnderWay(entry) {
            report.count(await replay(entry))
        }
        for (attempt, settlement) in deferred {
            // One that the store will not take does not hold up the others.
            let request = settlement.request(at: deck.time.monotonic())
            if (try? await deck.store.settle(request)) != nil { deferred[attempt] = nil }
        }
        return report
    }

    /// Whether anything waits for the store to come back.
    public func hasLeftovers() async -> Bool {
        if !deferred.isEmpty { return true }
        return await deck.journal.pending().contains { !isUnderWay($0) }
    }

    /// Whether an answer of the journal is on its way into the store right now.
    public func hasLeftoversUnderWay() -> Bool { !replaying.isEmpty }

    /// Offers the store once more what it had already, after a failover that may have lost it.
    ///
    /// - Returns: what was not there any more as `committed`, and what could not be asked as `waiting`.
    public func restoreStored() async -> ReplayReport {
        var report = ReplayReport()
        for entry in await deck.journal.retained().sorted(by: { $0.generation < $1.generation }) {
            let replay = await replay(entry)
            if case .stored = replay { continue }
            report.count(replay)
        }
        return report
    }

    fileprivate enum Replay: Sendable {
        /// The store has it now, and did not have it before.
        case committed
        /// The store had it before.
        case stored
        case orphaned, unusable
        /// The store has it, but has not confirmed it.
        case unconfirmed
        case waiting(StoreError)
    }

    private func isUnderWay(_ entry: JournalEntry) -> Bool {
        // Only the flight's own answer: one that waits for an older attempt is helped by committing that.
        flights[entry.account]?.attempt == entry.attempt || replaying[entry.attempt] != nil
    }

    func deferSettlement(_ request: SettleRequest) {
        deferred[request.attempt] = DeferredSettlement(request, now: deck.time.monotonic())
    }

    func replay(attempt: AttemptID) async throws(StoreError) -> Bool {
        // A settlement that the store missed is as good as an answer: it says that nothing was spent.
        if let settlement = deferred[attempt] {
            _ = try await deck.store.settle(settlement.request(at: deck.time.monotonic()))
            deferred[attempt] = nil
            return true
        }
        guard let entry = await deck.journal.pending().first(where: { $0.attempt == attempt }) else { return false }
        switch await replay(entry) {
        case .committed, .stored, .orphaned, .unconfirmed: return true
        case .unusable: return false
        case .waiting(let error): throw error
        }
    }

    func floor(of account: AccountID) async -> Generation? {
        let known = deck.cache.lastKnown(account)?.generation
        let held = await deck.journal.entries(of: account).last { isUsable($0) }?.generation.next
        guard let known, let held else { return known ?? held }
        return max(known, held)
    }

    func restore(_ account: AccountID, at generation: Generation, policy: RefreshPolicy) async -> Bool {
        let floor = await floor(of: account)
        var hasMoved = false
        for entry in await deck.journal.entries(of: account)
        where entry.generation >= generation && !isUnderWay(entry) {
            switch await replay(entry) {
            case .committed, .unconfirmed, .orphaned: hasMoved = true
            case .stored, .unusable, .waiting: break
            }
        }
        if hasMoved { return true }
        guard let floor, floor > generation else { return false }
        // Somebody else may have what is missing, and is given the time to put it back.
        guard hasWaitedEnough(for: account, policy: policy) else { return false }
        behindSince[account] = nil
        deck.cache.forget(account)
        deck.logger.critical(
            "Redis has lost newer tokens of the account and nobody has put them back: going on with what is there",
            metadata: ["account": "\(account)", "generation": "\(generation)", "lost": "\(floor)"])
        return true
    }

    private func hasWaitedEnough(for account: AccountID, policy: RefreshPolicy) -> Bool {
        let now = deck.time.monotonic()
        let since = behindSince[account] ?? now
        behindSince[account] = since
        return now - since >= policy.failoverHold
    }

    private func isUsable(_ entry: JournalEntry) -> Bool {
        if entry.isStored { return true }
        guard case .rotated = deck.endpoint.interpret(entry.response, provider: entry.provider) else { return false }
        return policies.policy(for: entry.provider) != nil
    }

    /// Once at a time for each entry; who comes later shares the outcome.
    private func replay(_ entry: JournalEntry) async -> Replay {
        if let running = replaying[entry.attempt] { return await running.value }
        let task = Task { await commitJournaled(entry) }
        replaying[entry.attempt] = task
        defer { replaying[entry.attempt] = nil }
        return await task.value
    }

    private func commitJournaled(_ entry: JournalEntry) async -> Replay {
        guard case .rotated(let grant) = deck.endpoint.interpret(entry.response, provider: entry.provider),
            let policy = policies.policy(for: entry.provider)
        else { return .unusable }
        let dueAt = policy.dueTime(
            expiresAt: grant.expiresAt, obtainedAt: entry.response.requestedAt, using: &generator)
        var request = CommitRequest(
            account: entry.account, provider: entry.provider, attempt: entry.attempt, generation: entry.generation,
            accessToken: grant.accessToken, refreshToken: grant.refreshToken ?? entry.spentRefreshToken,
            tokenType: grant.tokenType, expiresAt: grant.expiresAt, obtainedAt: entry.response.requestedAt,
            dueAt: dueAt, isRecovery: entry.isRecovery, occasion: entry.isStored ? .again : .first)
        if grant.grantExpiresAt != nil || policy.grantMaxAge != nil {
            var account = deck.cache.lastKnown(entry.account)
            if account == nil { account = try? await deck.store.read(entry.account) }
            request.takeTerm(of: grant, account: account, policy: policy, now: deck.time.wall())
        }
        do {
            var reply = try await deck.store.commit(request)
            if case .behind = reply.outcome, hasWaitedEnough(for: entry.account, policy: policy) {
                // Whoever has the generations in between is not coming: kept as an orphan rather than waiting for ever.
                request.occasion = .last
                reply = try await deck.store.commit(request)
            }
            await deck.journal.note(reply, of: entry.attempt)
            return replayed(reply, entry)
        } catch {
            return .waiting(error)
        }
    }

    private func replayed(_ reply: CommitReply, _ entry: JournalEntry) -> Replay {
        let metadata: Logger.Metadata = [
            "account": "\(entry.account)", "generation": "\(entry.generation.next)",
        ]
        switch reply {
        case .committed:
            behindSince[entry.account] = nil
            deck.logger.notice(
                entry.isStored ? "Redis had lost a token: put back from the journal" : "journal replayed: stored",
                metadata: metadata)
            return .committed
        case .already, .superseded:
            if !entry.isStored { deck.logger.notice("journal replayed: it was stored already", metadata: metadata) }
            return .stored
        case .orphaned:
            deck.logger.error("journal replayed: too late, kept as an orphan", metadata: metadata)
            return .orphaned
        case .behind(let generation):
            return .waiting(
                StoreError(.unavailable, "Redis has gone back to generation \(generation) of \(entry.account)"))
        case .unconfirmed(_, let reason):
            deck.logger.debug("journal replayed, not confirmed yet: \(reason)", metadata: metadata)
            return .unconfirmed
        }
    }
}

extension RefreshCoordinator: FlightControl {}

extension RefreshCoordinator.ReplayReport {
    fileprivate mutating func count(_ replay: RefreshCoordinator.Replay) {
        switch replay {
        case .committed, .stored: committed += 1
        case .orphaned: orphaned += 1
        case .unusable: unusable += 1
        case .unconfirmed, .waiting: waiting += 1
        }
    }
}
