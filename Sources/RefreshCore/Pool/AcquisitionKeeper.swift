public import Logging

/// Runs the chains of pools: one at a time over the whole fleet, spaced, counted, and nothing lost on the way.
public struct AcquisitionKeeper: Sendable {
    /// What became of a call.
    public enum Outcome: Sendable, Hashable {
        case acquired(AccountID)
        /// Not now; another run is under way, or the limits do not allow one.
        case waiting(AcquisitionPermit)
        case failed(AcquisitionFailure)
    }

    private let store: any AcquisitionStore
    private let acquirer: any AccountAcquirer
    private let vault: any AcquiredAccountVault
    private let directory: any AccountDirectory
    private let intake: AccountIntake
    private let time: any TimeSource
    private let logger: Logger

    /// After a first failure; the store doubles it with each further one, up to an hour.
    static let backoff = Duration.seconds(60)

    public init(
        store: any AcquisitionStore, acquirer: any AccountAcquirer, vault: any AcquiredAccountVault,
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

    /// Acquires one account for the pool, unless somebody else does or the limits say no.
    public func acquire(for pool: PoolName, limits: AcquisitionLimits) async throws(StoreError) -> Outcome {
        // The system's own generator is an empty type, which the thread sanitizer trips over.
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        let attempt = AttemptID(using: &generator)
        let permit = try await store.claim(pool, attempt: attempt, limits: limits)
        guard permit == .granted else { return .waiting(permit) }
        logger.info("pool: acquiring an account", metadata: ["pool": "\(pool)"])
        do throws(AcquisitionFailure) {
            let account = try await acquirer.acquire(for: pool)
            // From here on it exists, and must not get lost.
            try vault.keep(account, for: pool, attempt: attempt)
            try await put(account, pool: pool, tier: limits.tier, attempt: attempt)
            vault.drop(attempt)
            try? await store.finish(pool, attempt: attempt, error: nil, retryAfter: nil)
            logger.notice(
                "pool: an account was acquired", metadata: ["pool": "\(pool)", "account": "\(account.id)"])
            return .acquired(account.id)
        } catch {
            logger.warning(
                "pool: no account could be acquired", metadata: ["pool": "\(pool)", "reason": "\(error)"])
            try? await store.finish(
                pool, attempt: attempt, error: error.description,
                retryAfter: max(error.retryAfter ?? Self.backoff, Self.backoff))
            return .failed(error)
        }
    }

    /// Stores what earlier runs have left on disk.
    public func storeLeft(_ settings: [PoolName: AcquisitionLimits]) async {
        for (pool, attempt, account) in vault.left() {
            guard let limits = settings[pool] else { continue }
            do {
                try await put(account, pool: pool, tier: limits.tier, attempt: attempt)
                vault.drop(attempt)
                logger.notice(
                    "pool: an account that was acquired earlier is stored",
                    metadata: ["pool": "\(pool)", "account": "\(account.id)"])
            } catch {
                logger.warning(
                    "pool: an account that was acquired earlier cannot be stored yet",
                    metadata: ["pool": "\(pool)", "account": "\(account.id)", "reason": "\(error)"])
            }
        }
    }

    /// A new account never takes the place of another.
    private func put(
        _ account: AcquiredAccount, pool: PoolName, tier: TierName, attempt: AttemptID
    ) async throws(AcquisitionFailure) {
        let put: AccountPut
        do {
            put = try intake.admit(
                id: account.id, provider: account.provider, name: account.name,
                credentials: Credentials(refreshToken: account.credential.secret), overwrite: .never,
                traits: TraitChanges(pool: .set(pool), tier: .set(tier)), attempt: attempt, now: time.wall())
        } catch {
            throw AcquisitionFailure(.unusable, step: nil, "the account is not acceptable: \(error.description)")
        }
        let reply: PutReply
        do {
            reply = try await directory.put(put)
        } catch {
            throw AcquisitionFailure(.unstored, step: nil, "it is kept on disk until Redis takes it: \(error.message)")
        }
        switch reply {
        case .created, .replaced, .kept: return
        case .conflict, .otherProvider, .tooManyLabels:
            throw AcquisitionFailure(
                .unusable, step: nil,
                "there is an account \(account.id) already; account_id has to be another each time")
        case .refusedBefore, .tokenInUse:
            throw AcquisitionFailure(
                .unusable, step: nil, "the steps brought a refresh token that is known already, so no new account")
        }
    }
}
