public import Logging
import NIOConcurrencyHelpers

/// Runs the chains of pools: one at a time over the whole fleet, spaced, counted, and nothing lost on the way.
///
/// A run is on disk before its first request, each answer before it is read, and the account until the store has it. What
/// was left half done is gone on with behind its last answer before anything new is begun.
public final class AcquisitionKeeper: Sendable {
    /// What became of a call.
    public enum Outcome: Sendable, Hashable {
        case acquired(AccountID)
        /// Not now; another run is under way, or the limits do not allow one.
        case waiting(AcquisitionPermit)
        case failed(AcquisitionFailure)
        /// There was nothing to be finished.
        case idle
    }

    /// How a run began.
    public enum Start: Sendable {
        /// It goes on whatever becomes of whoever began it: what it receives must not get lost.
        case begun(Task<Outcome, Never>)
        case waiting(AcquisitionPermit)
        case failed(AcquisitionFailure)
    }

    private let store: any AcquisitionStore
    private let acquirer: any AccountAcquirer
    private let vault: any AcquisitionRunVault
    private let directory: any AccountDirectory
    private let intake: AccountIntake
    private let time: any TimeSource
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    private struct State {
        /// By the attempt that holds the pool.
        var running: [AttemptID: (pool: PoolName, task: Task<Outcome, Never>)] = [:]
        /// Runs that this process does not go on with any more.
        var stuck: Set<AttemptID> = []
        /// What has been said of those on disk.
        var told: [AttemptID: String] = [:]
        var toldFull: Set<PoolName> = []
    }

    /// After a first failure; the store doubles it with each further one, up to an hour.
    static let backoff = Duration.seconds(60)
    /// How often a run is begun or gone on with before it is left to a person.
    static let mostTries = 5
    /// A chain that leaves so many runs behind is not run again until somebody has looked.
    static let mostUnfinished = 10

    public init(
        store: any AcquisitionStore, acquirer: any AccountAcquirer, vault: any AcquisitionRunVault,
        directory: any AccountDirectory, intake: AccountIntake, time: any TimeSource, logger: Logger
    ) {
        self.store = store
        self.acquirer = acquirer
        self.vault = vault
        self.directory = directory
        self.intake = intake
        self.time = time
        self.logger = logger
    }

    // MARK: Beginning

    /// Acquires one account for the pool, unless somebody else does or the limits say no. Returns when it is over.
    public func acquire(for pool: PoolName, limits: AcquisitionLimits) async throws(StoreError) -> Outcome {
        switch try await begin(for: pool, limits: limits) {
        case .begun(let task): await task.value
        case .waiting(let permit): .waiting(permit)
        case .failed(let failure): .failed(failure)
        }
    }

    /// The same without waiting for the end.
    ///
    /// - Parameter onlyUnfinished: whether only what was left half done is gone on with.
    public func begin(
        for pool: PoolName, limits: AcquisitionLimits, onlyUnfinished: Bool = false
    ) async throws(StoreError) -> Start {
        if let id = await storeLeft(pool) { return .begun(Task { .acquired(id) }) }
        let continues = unfinished(pool) != nil
        if !continues, let failure = obstacle(to: pool) { return .failed(failure) }
        // The system's own generator is an empty type, which the thread sanitizer trips over.
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        let claim = AttemptID(using: &generator)
        let permit = try await store.claim(pool, attempt: claim, limits: limits, continues: continues)
        guard permit == .granted else { return .waiting(permit) }
        let task = state.withLockedValue { state in
            let task = Task { [self] in
                let outcome = await perform(claim, pool, limits, mayBegin: !onlyUnfinished && !continues)
                self.state.withLockedValue { $0.running[claim] = nil }
                return outcome
            }
            state.running[claim] = (pool, task)
            return task
        }
        return .begun(task)
    }

    /// Whether this process is running the pool's chain.
    public func isRunning(_ pool: PoolName) -> Bool {
        state.withLockedValue { state in state.running.values.contains { $0.pool == pool } }
    }

    /// Returns when all runs of this process are over.
    public func drain() async {
        for task in state.withLockedValue({ $0.running.values.map(\.task) }) { _ = await task.value }
    }

    private func obstacle(to pool: PoolName) -> AcquisitionFailure? {
        let unfinished = vault.left().filter { $0.pool == pool && ($0.account != nil || !$0.answers.isEmpty) }
        let count = unfinished.count - unfinished.filter(isResumable).count
        guard count >= Self.mostUnfinished else {
            state.withLockedValue { _ = $0.toldFull.remove(pool) }
            return nil
        }
        let failure = AcquisitionFailure(
            .unusable, step: nil,
            "\(count) earlier runs could not be finished and are kept in the state directory: correct the chain")
        if state.withLockedValue({ $0.toldFull.insert(pool).inserted }) {
            logger.error(
                "pool: no more accounts are acquired", metadata: ["pool": "\(pool)", "reason": "\(failure.message)"])
        }
        return failure
    }

    private func isResumable(_ run: AcquisitionRun) -> Bool {
        run.account == nil && !run.answers.isEmpty && run.tries < Self.mostTries
            && !state.withLockedValue { $0.stuck.contains(run.attempt) } && acquirer.progress(of: run).isReadable
    }

    private func unfinished(_ pool: PoolName) -> AcquisitionRun? {
        vault.left().first { $0.pool == pool && isResumable($0) }
    }

    // MARK: Running

    private func perform(
        _ claim: AttemptID, _ pool: PoolName, _ limits: AcquisitionLimits, mayBegin: Bool
    ) async -> Outcome {
        // Nobody else runs the chain now: one without an answer was cut off in its first request, and has brought nothing.
        for run in vault.left() where run.pool == pool && run.account == nil && run.answers.isEmpty {
            vault.drop(run.attempt)
        }
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        var run = AcquisitionRun(pool: pool, tier: limits.tier, startedAt: time.wall(), using: &generator)
        if let unfinished = unfinished(pool) {
            run = unfinished
            run.tries += 1
            logger.info("pool: going on with an acquisition", metadata: ["pool": "\(pool)", "run": "\(run.attempt)"])
        } else if !mayBegin {
            try? await store.finish(pool, attempt: claim, error: nil, retryAfter: nil)
            return .idle
        } else {
            logger.info("pool: acquiring an account", metadata: ["pool": "\(pool)", "run": "\(run.attempt)"])
        }
        do throws(AcquisitionFailure) {
            // Where nothing can be kept nothing is asked for.
            try vault.keep(run)
            run.account = try await acquirer.advance(run) { keepOrTell($0) }
            run.answers = []
            keepOrTell(run)
            let id = try await put(run)
            try? await store.finish(pool, attempt: claim, error: nil, retryAfter: nil)
            return .acquired(id)
        } catch {
            logger.warning(
                "pool: no account could be acquired", metadata: ["pool": "\(pool)", "reason": "\(error)"])
            settle(run.attempt, after: error)
            try? await store.finish(
                pool, attempt: claim, error: error.description,
                retryAfter: max(error.retryAfter ?? Self.backoff, Self.backoff))
            return .failed(error)
        }
    }

    /// An answer that cannot be kept is used all the same: in the store it is safe.
    private func keepOrTell(_ run: AcquisitionRun) {
        do throws(AcquisitionFailure) {
            try vault.keep(run)
        } catch {
            logger.error(
                "pool: an acquisition cannot be kept on disk; it goes on",
                metadata: ["pool": "\(run.pool)", "run": "\(run.attempt)", "reason": "\(error)"])
        }
    }

    /// What becomes of what a failed run has brought.
    private func settle(_ attempt: AttemptID, after failure: AcquisitionFailure) {
        guard let run = vault.left().first(where: { $0.attempt == attempt }), run.account == nil else { return }
        if acquirer.progress(of: run).values == 0 { return vault.drop(attempt) }
        if failure.isTransient, run.tries < Self.mostTries { return }
        state.withLockedValue { _ = $0.stuck.insert(attempt) }
        logger.error(
            "pool: an acquisition that has brought something cannot be finished; it is kept in the state directory",
            metadata: ["pool": "\(run.pool)", "run": "\(attempt)", "reason": "\(failure)"])
    }

    // MARK: Finishing what was left

    /// Stores the accounts that are on disk, and goes on with runs that were left half done, by an earlier process or by
    /// this one. Costs the store nothing where there are none.
    ///
    /// - Returns: whether the store has taken every account that is there.
    @discardableResult
    public func finishLeft(_ settings: [PoolName: AcquisitionLimits]) async -> Bool {
        var pools: Set<PoolName> = []
        var isStored = true
        for run in vault.left() {
            guard run.account == nil else {
                if await putLeft(run) == nil { isStored = false }
                continue
            }
            if isResumable(run) { pools.insert(run.pool) }
        }
        for pool in pools.sorted() where !isRunning(pool) {
            guard let limits = settings[pool] else { continue }
            do throws(StoreError) {
                _ = try await begin(for: pool, limits: limits, onlyUnfinished: true)
            } catch {
                logger.debug(
                    "pool: an acquisition is not gone on with yet",
                    metadata: ["pool": "\(pool)", "reason": "\(error)"])
            }
        }
        return isStored
    }

    /// Stores accounts of the pool that are on disk: they may be all that it lacks. Who counts the pool's accounts to see
    /// whether it needs one more calls this first.
    ///
    /// - Returns: one of them.
    @discardableResult
    func storeLeft(_ pool: PoolName) async -> AccountID? {
        var stored: AccountID?
        for run in vault.left() where run.pool == pool && run.account != nil {
            stored = await putLeft(run) ?? stored
        }
        return stored
    }

    /// - Returns: nil where the store does not take it.
    private func putLeft(_ run: AcquisitionRun) async -> AccountID? {
        do throws(AcquisitionFailure) {
            return try await put(run)
        } catch {
            let isNews = state.withLockedValue { state in
                state.told.updateValue(error.message, forKey: run.attempt) != error.message
            }
            if isNews {
                logger.warning(
                    "pool: an account that was acquired earlier cannot be stored yet",
                    metadata: ["pool": "\(run.pool)", "run": "\(run.attempt)", "reason": "\(error)"])
            }
            return nil
        }
    }

    /// Stores the account of a run and forgets the run. A new account never takes the place of another: where its name is
    /// taken it gets another one.
    private func put(_ run: AcquisitionRun) async throws(AcquisitionFailure) -> AccountID {
        guard let account = run.account else { throw AcquisitionFailure(.unusable, step: nil, "there is no account") }
        for id in [account.id, run.otherID(than: account.id)].compactMap({ $0 }) {
            switch try await reply(to: account, as: id, run) {
            case .created, .replaced, .kept:
                vault.drop(run.attempt)
                logger.notice(
                    "pool: an account was acquired", metadata: ["pool": "\(run.pool)", "account": "\(id)"])
                return id
            case .conflict, .otherProvider: continue
            case .refusedBefore, .tokenInUse:
                vault.drop(run.attempt)
                throw AcquisitionFailure(
                    .unusable, step: nil,
                    "the steps brought a refresh token that is known already, so no new account")
            case .tooManyLabels: throw AcquisitionFailure(.unusable, step: nil, "the account has too many labels")
            }
        }
        throw AcquisitionFailure(
            .unusable, step: nil, "there is an account \(account.id) already; account_id has to be another each time")
    }

    private func reply(
        to account: AcquiredAccount, as id: AccountID, _ run: AcquisitionRun
    ) async throws(AcquisitionFailure) -> PutReply {
        let put: AccountPut
        do {
            // A name that cannot be shown is not worth an account.
            let name = account.name.flatMap { name in (try? AccountIntake.check(name: name)).map { name } }
            put = try intake.admit(
                id: id, provider: account.provider, name: name,
                credentials: Credentials(refreshToken: account.credential.secret), overwrite: .never,
                traits: TraitChanges(pool: .set(run.pool), tier: .set(run.tier)), attempt: run.attempt,
                now: time.wall())
        } catch {
            throw AcquisitionFailure(.unusable, step: nil, "the account is not acceptable: \(error.description)")
        }
        do {
            return try await directory.put(put)
        } catch {
            throw AcquisitionFailure(.unstored, step: nil, "it is kept on disk until Redis takes it: \(error.message)")
        }
    }
}
