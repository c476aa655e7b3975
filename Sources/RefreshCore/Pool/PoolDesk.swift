public import CoreMetrics
public import Logging
import NIOConcurrencyHelpers

/// Hands out the accounts of pools, and hears what became of the calls.
///
/// A pick is decided in memory: whose turn it is among the accounts that are not excluded, cooling down, paused or waiting for
/// a log-in. Its token comes from the ``TokenReader``, so that it is fresh, or refreshed before it is handed out; where there
/// is none the next account is picked. Blame is tied to the request: a report names the account and the generation that it
/// was given, and nothing is ever made of the one that was picked last.
public final class PoolDesk: PoolPicking {
    /// After so many accounts whose token cannot be had a request gives up.
    static let mostTries = 8
    /// No account is tried later than this after the request, or after a new account was acquired for it.
    static let longestSearch = Duration.seconds(30)
    /// How often a request asks for a slot, or for an early try: 16 accounts a time.
    static let mostRounds = 4
    /// Told where nothing is known of when an account will be available.
    static let unknownWait = Duration.seconds(60)

    let settings: [PoolName: PoolSettings]
    let board: PoolBoard
    let reader: TokenReader
    let cooldowns: any CooldownStore
    let slots: any SlotStore
    let acquisitions: PoolAcquisitions?
    let fallbacks: [PoolName: FallbackToken]
    let time: any TimeSource
    let metrics: PoolMetrics
    let logger: Logger
    private let random: NIOLockedValueBox<SplitMix64>
    private let toldOutage = NIOLockedValueBox(false)
    let errand = CooldownErrand()
    /// Cool-downs whose early try is being asked for.
    let probing = NIOLockedValueBox<Set<CooldownKey>>([])
    /// Cool-downs that the store is being told a success of.
    let clearing = NIOLockedValueBox<Set<CooldownKey>>([])

    /// - Parameters:
    ///   - keeper: nil where this process acquires nothing.
    ///   - seed: another one for each instance: they begin at different accounts.
    public init(
        settings: [PoolSettings], pools: any PoolStore, cooldowns: any CooldownStore, slots: any SlotStore,
        reader: TokenReader, keeper: AcquisitionKeeper?, fallbacks: [PoolName: FallbackToken] = [:], seed: UInt64,
        metrics: any MetricsFactory = NOOPMetricsHandler.instance, logger: Logger
    ) {
        self.settings = Dictionary(settings.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.reader = reader
        self.cooldowns = cooldowns
        self.slots = slots
        self.fallbacks = fallbacks
        self.time = reader.deck.time
        self.metrics = PoolMetrics(metrics)
        self.logger = logger
        self.random = NIOLockedValueBox(SplitMix64(seed: seed))
        acquisitions = keeper.map { PoolAcquisitions(keeper: $0, time: reader.deck.time) }
        board = PoolBoard(
            settings: settings, pools: pools, cooldowns: cooldowns, accounts: reader.deck.store,
            cache: reader.deck.cache, time: reader.deck.time, seed: seed, logger: logger)
    }

    // MARK: Picking

    public func pick(_ request: PoolRequest) async throws(PoolFailure) -> PoolToken {
        let settings = try settings(of: request.pool)
        do throws(PoolFailure) {
            let pick = try await search(request, settings)
            metrics.picked(pick)
            return .account(pick)
        } catch {
            if error.kind == .cancelled { throw error }
            metrics.failed(request.pool, error)
            guard let fallback = fallbacks[request.pool] else { throw error }
            metrics.fellBack(request.pool)
            return .fallback(fallback, error)
        }
    }

    private func search(_ wanted: PoolRequest, _ settings: PoolSettings) async throws(PoolFailure) -> PoolPick {
        var search = Search(request: wanted, deadline: time.monotonic() + Self.longestSearch)
        while true {
            do throws(StoreError) {
                try await board.ready(wanted.pool)
            } catch {
                throw PoolFailure(
                    .storeUnavailable, "nothing is known of pool \(wanted.pool): \(error.message)",
                    retryAfter: .seconds(1))
            }
            guard !Task.isCancelled else { throw gone() }
            guard search.tries < Self.mostTries, time.monotonic() < search.deadline else {
                throw exhausted(search)
            }
            guard let (account, lease) = await choose(&search, settings) else {
                guard !Task.isCancelled else { throw gone() }
                if await acquire(&search, settings) { continue }
                throw exhausted(search)
            }
            if let pick = await pick(account, lease, &search) {
                guard Task.isCancelled else { return pick }
                if let lease { await release(lease) }
                throw gone()
            }
            if let lease { await release(lease) }
        }
    }

    private func gone() -> PoolFailure { PoolFailure(.cancelled, "whoever asked for the token is gone") }

    /// One request's way through the pool.
    struct Search {
        var request: PoolRequest
        var deadline: MonotonicTime
        /// Accounts whose tokens could not be had.
        var tries = 0
        /// How often the store was asked for a slot, or for an early try.
        var rounds = 0
        /// Accounts that have all the calls they may have, or whose early try is not to be had.
        var busy: Set<AccountID> = []
        /// Whether one of them has all its calls.
        var isFull = false
        /// Whether a new account was asked for.
        var hasAcquired = false
        var acquisition: PoolAcquisitions.Result?
        var trouble: RefreshFailure?
        /// When an account can be refreshed for this request, which has none of the tokens that others are served with.
        var replaceableAt: WallTime?

        /// A new account is there: it gets the time that a request has.
        mutating func renew(now: MonotonicTime) {
            deadline = now + PoolDesk.longestSearch
            (tries, rounds) = (0, 0)
        }
    }

    /// The account's token; nil where it cannot be had, or the account cannot be picked any more.
    private func pick(_ account: AccountSnapshot, _ lease: PoolLease?, _ search: inout Search) async -> PoolPick? {
        let request = search.request
        let refused = [
            request.refused[account.id],
            board.look(request.pool, { view, _ in view.refused[account.id] }) ?? nil,
        ].compactMap { $0 }.max()
        let answer: TokenAnswer
        if request.minimumTTL == nil, refused == nil, let warm = reader.warm(account.id) {
            answer = warm
        } else {
            do throws(RefreshFailure) {
                answer = try await read(
                    TokenRequest(account: account.id, minimumTTL: request.minimumTTL, refused: refused),
                    until: search.deadline)
            } catch {
                guard !Task.isCancelled else { return nil }
                search.trouble = error
                if let own = request.refused[account.id], !reader.canReplace(account.id, refused: own) {
                    // For this request only: others, who do not complain, are served with what there is.
                    search.replaceableAt = [search.replaceableAt, error.retryAt].compactMap { $0 }.min()
                    leaveOut(account.id, &search)
                    return nil
                }
                return putOff(account.id, error, &search)
            }
        }
        guard !answer.accessToken.isEmpty else { return putOff(account.id, nil, &search) }
        // Reading may have taken a while: it may have been paused, moved, or blamed since.
        let snapshot = answer.snapshot
        board.change(request.pool) { view, _ in view.learn(snapshot) }
        let isStillOpen = board.look(request.pool) { view, now in
            guard snapshot.enabled, snapshot.pool == request.pool, let known = view.members[snapshot.id]?.account else {
                return false
            }
            if lease?.isProbe == true { return known.enabled && known.status != .reauthRequired }
            return view.standing(of: known, dimension: request.dimension, now: now) == .available
        }
        guard isStillOpen == true else {
            leaveOut(account.id, &search)
            return nil
        }
        let tier = board.look(request.pool) { view, _ in view.tier(of: snapshot) }
        guard let tier else { return nil }
        // Who waits for no refresh leaves one behind for whoever comes next.
        if let lapsed = board.nudge(besides: snapshot, request) { Task { await reader.refreshBehind(lapsed) } }
        return PoolPick(pool: request.pool, tier: tier, answer: answer, lease: lease)
    }

    private func putOff(_ account: AccountID, _ failure: RefreshFailure?, _ search: inout Search) -> PoolPick? {
        rest(account, failure, in: search.request.pool)
        leaveOut(account, &search)
        return nil
    }

    private func leaveOut(_ account: AccountID, _ search: inout Search) {
        search.request.excluded.insert(account)
        search.tries += 1
    }

    /// Leaves the account alone for a while, unless what was in the way is nothing about it.
    func rest(_ account: AccountID, _ failure: RefreshFailure?, in pool: PoolName) {
        let fault = failure?.poolFault ?? .account
        guard fault != .instance else { return }
        board.change(pool) { view, now in
            view.rest(account, until: failure?.retryAt, now: now, isOwn: fault == .account)
        }
    }

    /// The token, or the failure that it has not come in time; the refresh goes on.
    func read(
        _ request: TokenRequest, until deadline: MonotonicTime
    ) async throws(RefreshFailure) -> TokenAnswer {
        // A caller who leaves cancels no command, and is no fault of the account's.
        let result = await Abandonable.result(until: deadline, time) { [reader] in
            do throws(RefreshFailure) {
                return Result<TokenAnswer, RefreshFailure>.success(try await reader.token(request))
            } catch {
                return .failure(error)
            }
        }
        guard let result else {
            throw RefreshFailure(.timedOut, "the token of \(request.account) takes too long")
        }
        return try result.get()
    }

    // MARK: Hearing

    /// To be told after the ``TokenCache``.
    public func accountChanged(_ change: AccountChange) {
        let pools = board.accountChanged(change)
        guard change.outcome != .failed, change.outcome != .refused else { return }
        for pool in pools { acquisitions?.ring(pool) }
    }

    public func cooldownChanged(_ change: Versioned<CooldownChange>, in pool: PoolName) {
        board.cooldownChanged(change, in: pool)
        if case .ended = change.value { acquisitions?.ring(pool) }
    }

    /// The subscription to the fleet's changes stands (again), or was lost.
    public func subscriptionChanged(isUp: Bool) {
        board.subscriptionChanged(isUp: isUp)
        guard isUp else { return }
        toldOutage.withLockedValue { $0 = false }
        acquisitions?.ringAll()
        errand.hurry()
    }

    // MARK: Small things

    func settings(of pool: PoolName) throws(PoolFailure) -> PoolSettings {
        guard let settings = settings[pool] else { throw notFound(pool) }
        return settings
    }

    func notFound(_ pool: PoolName) -> PoolFailure {
        PoolFailure(.poolNotFound, "no pool \(pool): put it under pools in the configuration of this instance")
    }

    func newAttempt() -> AttemptID {
        random.withLockedValue { AttemptID(using: &$0) }
    }

    func draw() -> UInt64 { random.withLockedValue { $0.next() } }

    func tell(outage error: StoreError, _ what: String) {
        let isNews = toldOutage.withLockedValue { told in
            defer { told = true }
            return !told
        }
        logger.log(level: isNews ? .warning : .debug, "pool: \(what)", metadata: ["reason": "\(error.message)"])
    }
}
