import ConfigurationFile
import RefreshCore

extension PerennialError {
    /// Waiting for what is about to be there again.
    private static let moment = Duration.seconds(1)

    /// - Parameter now: on the fleet's clock.
    init(_ failure: RefreshFailure, account: AccountID, now: WallTime) {
        let wait = failure.retryAt.map { max($0 - now, .milliseconds(1)) } ?? Self.moment
        let (code, remedy): (Code, Remedy) =
            switch failure.code {
            case .accountNotFound: (.accountNotFound, .addAccount)
            case .reauthRequired: (.reauthRequired, .logInAgain)
            case .outcomeUnknown: (.outcomeUnknown, failure.retryAt == nil ? .logInAgain : .retry(after: wait))
            case .disabled: (.paused, .resumeAccount)
            case .unknownProvider: (.unknownProvider, .changeSetup)
            case .coolingDown: (.coolingDown, .retry(after: wait))
            case .providerThrottled: (.providerThrottled, .retry(after: wait))
            case .providerMisconfigured: (.providerMisconfigured, .changeSetup)
            case .providerUnavailable: (.providerUnavailable, .retry(after: wait))
            case .storeUnavailable: (.storeUnavailable, .retry(after: wait))
            case .journalUnavailable: (.journalUnavailable, .changeSetup)
            case .timedOut: (.timedOut, .retry(after: wait))
            case .shuttingDown: (.shuttingDown, .changeCall)
            }
        self.init(code, failure.message, remedy: remedy, account: account, retryAt: failure.retryAt)
    }

    init(_ failure: PoolFailure, pool: PoolName) {
        let wait = failure.retryAfter ?? Self.moment
        let (code, remedy): (Code, Remedy) =
            switch failure.kind {
            case .poolNotFound, .notInPool: (.poolNotFound, .changeSetup)
            case .exhausted: (.poolExhausted, .retry(after: wait))
            case .storeUnavailable: (.storeUnavailable, .retry(after: wait))
            case .generationConflict: (.invalidArgument, .changeCall)
            case .cancelled: (.shuttingDown, .changeCall)
            }
        self.init(code, failure.message, remedy: remedy, pool: pool, retryAt: failure.nextAt)
    }

    init(_ error: StoreError, account: AccountID? = nil) {
        switch error.code {
        case .unavailable, .outcomeUnknown, .cancelled:
            self.init(.storeUnavailable, error.message, remedy: .retry(after: Self.moment), account: account)
        case .refused, .corrupt, .sealing:
            self.init(.storeUnusable, error.message, remedy: .changeSetup, account: account)
        }
    }

    init(_ error: InvalidName) {
        self.init(.invalidArgument, error.description, remedy: .changeCall)
    }

    /// What keeps an instance from starting.
    init(start error: any Error) {
        switch error {
        case let error as PerennialError: self = error
        case let error as StoreError: self.init(error)
        case let error as ConfigurationError:
            self.init(.configuration, error.description, remedy: .changeSetup)
        default:
            // What the rooms below throw at start says what to do and holds no secret.
            self.init(.start, "\(error)", remedy: .changeSetup)
        }
    }
}
