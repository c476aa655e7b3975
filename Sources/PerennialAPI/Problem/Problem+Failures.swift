import RefreshCore

extension Problem {
    /// Why a token or a refresh was not to be had.
    init(_ failure: RefreshFailure, account: AccountID, generation: Generation? = nil) {
        let code: Code =
            switch failure.code {
            case .accountNotFound: .accountNotFound
            case .reauthRequired: .reauthRequired
            case .disabled: .disabled
            case .unknownProvider: .unknownProvider
            case .coolingDown: .coolingDown
            case .providerThrottled: .providerThrottled
            case .providerMisconfigured: .providerMisconfigured
            case .providerUnavailable: .providerUnavailable
            case .outcomeUnknown: .outcomeUnknown
            case .storeUnavailable: .storeUnavailable
            case .journalUnavailable: .journalUnavailable
            case .timedOut: .timedOut
            case .shuttingDown: .shuttingDown
            }
        self.init(code, failure.message, account: account, generation: generation)
        retryAt = failure.retryAt
        cause = failure.cause
    }

    /// Why a pool gives no token.
    init(_ failure: PoolFailure, now: WallTime) {
        let code: Code =
            switch failure.kind {
            case .poolNotFound: .poolNotFound
            case .notInPool: .notInPool
            case .exhausted: .poolExhausted
            case .generationConflict: .generationConflict
            case .cancelled: .shuttingDown
            case .storeUnavailable: .storeUnavailable
            }
        self.init(code, failure.message)
        retryAt = failure.retryAfter.map { now + $0 }
        nextAt = failure.nextAt
    }

    /// What the store had against it.
    init(_ error: StoreError, account: AccountID? = nil) {
        let (code, advice): (Code, String) =
            switch error.code {
            case .unavailable: (.storeUnavailable, "try again in a moment")
            case .outcomeUnknown: (.storeOutcomeUnknown, "it may have been carried out: look before trying again")
            case .refused: (.storeRefused, "look at the store's memory, permissions and persistence")
            case .corrupt: (.storeCorrupt, "update this instance, or put the account anew")
            case .sealing: (.sealingFailed, "give this instance the key that sealed it, or put the account anew")
            case .cancelled: (.shuttingDown, "try again, on another instance if there is one")
            }
        self.init(code, "\(error.message); \(advice)", account: account)
    }

    /// An account that cannot be stored as it is.
    init(_ refusal: AccountIntake.Refusal, account: AccountID) {
        let code: Problem.Code =
            switch refusal.code {
            case .unknownProvider: .unknownProvider
            case .missing: .malformedBody
            case .invalid: .invalidAccount
            }
        self.init(code, refusal.description, account: account)
        // Here it is the caller who named a provider that does not exist.
        status = 400
    }

    static func accountNotFound(_ account: AccountID) -> Problem {
        Problem(.accountNotFound, "no account \(account): add it with PUT first", account: account)
    }
}
