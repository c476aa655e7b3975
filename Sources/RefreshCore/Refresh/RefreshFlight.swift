import Logging

/// What every flight needs: the ports, the clocks and the places where its outcome is told.
public struct FlightDeck: Sendable {
    public var store: any AccountStore
    public var endpoint: any TokenEndpoint
    public var journal: any ResponseJournal
    public var time: any TimeSource
    public var hub: ChangeHub
    public var cache: TokenCache
    public var limiter: ExchangeLimiter
    public var statistics: RefreshStatistics
    public var damper: RefusalDamper
    public var logger: Logger

    public init(
        store: any AccountStore, endpoint: any TokenEndpoint, journal: any ResponseJournal, time: any TimeSource,
        hub: ChangeHub, cache: TokenCache, limiter: ExchangeLimiter = ExchangeLimiter(),
        statistics: RefreshStatistics = RefreshStatistics(), damper: RefusalDamper = RefusalDamper(),
        logger: Logger
    ) {
        self.store = store
        self.endpoint = endpoint
        self.journal = journal
        self.time = time
        self.hub = hub
        self.cache = cache
        self.limiter = limiter
        self.statistics = statistics
        self.damper = damper
        self.logger = logger
    }
}

/// What a flight leaves to its coordinator, which sees all of them.
protocol FlightControl: Sendable {
    /// Commits what the journal holds of an attempt; never twice at once.
    func replay(attempt: AttemptID) async throws(StoreError) -> Bool
    /// Keeps a settlement that the store did not take, to be repeated when it is back.
    func deferSettlement(_ request: SettleRequest) async
    /// The newest generation of the account that this instance knows of.
    func floor(of account: AccountID) async -> Generation?
    /// Puts back what a store that stands at `generation` has lost of the account, as far as it is here.
    ///
    /// - Returns: whether BEGIN is worth another try.
    func restore(_ account: AccountID, at generation: Generation, policy: RefreshPolicy) async -> Bool
}

/// Performs the steps of one ``RefreshMachine`` against the real ports.
struct RefreshFlight {
    let deck: FlightDeck
    var machine: RefreshMachine
    let provider: ProviderName
    let control: any FlightControl
    private var holdsSlot = false

    init(deck: FlightDeck, machine: RefreshMachine, provider: ProviderName, control: any FlightControl) {
        self.deck = deck
        self.machine = machine
        self.provider = provider
        self.control = control
    }

    mutating func run() async -> RefreshResult {
        defer { releaseSlot() }
        do {
            try await deck.journal.checkWritable()
        } catch {
            // Without a journal an answer could be lost, so nothing is spent (I3).
            return .failed(RefreshFailure(.journalUnavailable, error.description), nil)
        }
        var ticket = deck.hub.ticket(for: machine.account)
        var step = machine.start()
        while true {
            switch step {
            case .begin(let request):
                ticket = deck.hub.ticket(for: machine.account)
                await takeSlot()
                step = machine.handle(await begin(request), now: now())
            case .wait(let until):
                releaseSlot()
                await deck.hub.wait(for: machine.account, since: ticket, until: until, time: deck.time)
                step = machine.handle(.woken, now: now())
            case .replay(let attempt):
                step = machine.handle(await replayed(attempt), now: now())
            case .exchange(let claim, let sendBy, let deadline):
                step = machine.handle(await exchange(claim, sendBy: sendBy, deadline: deadline), now: now())
            case .commit(let request):
                step = machine.handle(await commit(request), now: now())
            case .settle(let request):
                step = machine.handle(await settle(request), now: now())
            case .finish(let result):
                return result
            }
        }
    }

    private func now() -> RefreshMachine.Now {
        RefreshMachine.Now(wall: deck.time.wall(), monotonic: deck.time.monotonic())
    }

    private mutating func takeSlot() async {
        guard !holdsSlot else { return }
        await deck.limiter.acquire(
            provider, limit: machine.policy.maxConcurrentExchanges,
            isCautious: machine.policy.circuitBreaker != nil, now: deck.time.monotonic())
        holdsSlot = true
    }

    private mutating func releaseSlot() {
        guard holdsSlot else { return }
        deck.limiter.release(provider)
        holdsSlot = false
    }

    private func begin(_ request: BeginRequest) async -> RefreshMachine.Event {
        var request = request
        do {
            request.floor = await control.floor(of: request.account)
            var sentAt = deck.time.monotonic()
            var reply = try await deck.store.begin(request)
            if let generation = reply.doubtfulGeneration,
                await control.restore(request.account, at: generation, policy: machine.policy)
            {
                request.floor = await control.floor(of: request.account)
                sentAt = deck.time.monotonic()
                reply = try await deck.store.begin(request)
            }
            switch reply {
            case .undurable(_, let reason):
                deck.logger.warning(
                    "no refresh token was sent: \(reason)", metadata: ["account": "\(request.account)"])
            case .rolledBack(let snapshot):
                deck.logger.warning(
                    "Redis has lost newer tokens of the account: waiting for whoever can put them back",
                    metadata: ["account": "\(request.account)", "generation": "\(snapshot.generation)"])
            default: break
            }
            return .began(reply, sentAt: sentAt)
        } catch {
            return .beginFailed(error)
        }
    }

    private func replayed(_ attempt: AttemptID) async -> RefreshMachine.Event {
        do {
            return .replayed(try await control.replay(attempt: attempt))
        } catch {
            return .replayFailed(error)
        }
    }

    private mutating func exchange(
        _ claim: RefreshClaim, sendBy: MonotonicTime, deadline: MonotonicTime
    ) async -> RefreshMachine.Event {
        deck.statistics.exchangeStarted(isRecovery: claim.isRecovery)
        if claim.isRecovery {
            // The one exception to single use is never made in silence.
            deck.logger.notice(
                "recovery: sending a refresh token once more, for the outcome of its first use is unknown",
                metadata: ["account": "\(claim.account.id)", "generation": "\(claim.generation)"])
        }
        let result = await deck.endpoint.spend(claim, policy: machine.policy, sendBy: sendBy, deadline: deadline)
        if case .answered(let response) = result, response.mayHoldTokens {
            // The provider is free for the next exchange while this answer is written down and stored.
            releaseSlot()
            await record(response, of: claim)
        }
        let event: RefreshMachine.Event =
            switch result {
            case .unsent(let reason): .unsent(reason)
            case .unreachable(let reason): .unreachable(reason)
            case .unanswered(let reason): .unanswered(reason)
            case .answered(let response):
                .exchanged(deck.endpoint.interpret(response, provider: claim.account.provider))
            }
        noteHealth(event.health)
        // After a failure the slot is kept until it has been settled: what that finds out is known to the next one.
        if event.health != .failing { releaseSlot() }
        return event
    }

    private func noteHealth(_ health: ProviderHealth) {
        deck.limiter.noted(health, by: provider, now: deck.time.monotonic())
    }

    private func record(_ response: RawTokenResponse, of claim: RefreshClaim) async {
        let entry = JournalEntry(
            account: claim.account.id, provider: claim.account.provider, attempt: claim.attempt,
            generation: claim.generation, spentRefreshToken: claim.refreshToken, isRecovery: claim.isRecovery,
            response: response)
        do {
            try await deck.journal.append(entry)
        } catch {
            // The token exists only in this process now: the store is its last chance, so go on and say it aloud.
            deck.logger.critical(
                "journal write failed with a token response in hand; committing without it: \(error.description)",
                metadata: ["account": "\(claim.account.id)"])
        }
    }

    private func commit(_ request: CommitRequest) async -> RefreshMachine.Event {
        do {
            let reply = try await deck.store.commit(request)
            await deck.journal.note(reply, of: request.attempt)
            deck.statistics.committed(reply, by: provider)
            let metadata: Logger.Metadata = [
                "account": "\(request.account)", "generation": "\(request.generation)",
            ]
            if reply.outcome == .orphaned {
                deck.logger.error("a token response came too late and is kept as an orphan", metadata: metadata)
            }
            if case .unconfirmed(_, let reason) = reply {
                deck.logger.warning(
                    "the new token is served and stays in the journal until it is confirmed: \(reason)",
                    metadata: metadata)
            }
            return .committed(reply)
        } catch {
            deck.logger.warning(
                "commit failed: \(error.message)", metadata: ["account": "\(request.account)"])
            return .commitFailed(error)
        }
    }

    private mutating func settle(_ request: SettleRequest) async -> RefreshMachine.Event {
        defer { releaseSlot() }
        if request.disposition != .limited { deck.statistics.failed(request.fault.kind, at: provider) }
        do {
            let reply = try await deck.store.settle(request)
            // A 2xx that held no tokens is settled as unresolved: what the journal kept of it stays for a person.
            if request.disposition != .unresolved { await deck.journal.release(request.attempt) }
            return .settled(reply)
        } catch {
            await control.deferSettlement(request)
            return .settleFailed(error)
        }
    }
}

extension BeginReply {
    /// The generation of a store that may have lost something of the account.
    fileprivate var doubtfulGeneration: Generation? {
        switch self {
        case .rolledBack(let snapshot), .quarantined(let snapshot, _, _): snapshot.generation
        default: nil
        }
    }
}

extension RefreshMachine.Event {
    /// What an exchange says about the provider.
    fileprivate var health: ProviderHealth {
        switch self {
        case .exchanged(let outcome):
            switch outcome {
            case .rotated, .refused: .answering
            case .throttled: .unknown
            case .misconfigured, .ambiguous: .failing
            }
        case .unreachable, .unanswered: .failing
        default: .unknown
        }
    }
}

extension ResponseJournal {
    /// What the reply to a COMMIT means for the entry: kept for a while, forgotten, or still waiting.
    func note(_ reply: CommitReply, of attempt: AttemptID) async {
        switch reply {
        case .committed, .already: await retain(attempt)
        case .orphaned, .superseded: await release(attempt)
        case .behind, .unconfirmed: break
        }
    }
}
