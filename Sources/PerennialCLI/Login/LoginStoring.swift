import Perennial
import PerennialAPI
import PerennialConfiguration
import Providers
import RedisStore
import RefreshCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Brings the answer of a log-in into the store. It stays on disk, sealed, until the store has it.
struct LoginStoring: Sendable {
    struct Stored: Sendable {
        var account: AccountID
        var outcome: String
        var generation: Generation
    }

    let instance: Instance
    let vault: LoginVault
    let isJSON: Bool

    /// - Parameter account: instead of the one that the log-in was for or names itself.
    /// - Throws: ``LoginError`` for an answer that is of no use as it is, which is forgotten where no tokens are lost with
    ///   it; ``CommandFailure`` where it could not be stored, and stays.
    func store(_ kept: KeptLogin, definition: ProviderDefinition, account: AccountID?) async throws -> Stored {
        let grant = try read(kept, definition)
        let id = try account ?? choose(kept, grant)
        var kept = kept
        kept.account = id.rawValue
        let login = kept
        let put = try admit(kept, grant, id: id, provider: definition.name)
        // Whoever interrupts this has to learn how to go on.
        let stored = try await withInterruption(of: kept.attempt) { try await insist(put, login) }
        vault.drop(kept.attempt)
        say(stored, grant)
        return stored
    }

    private func read(_ kept: KeptLogin, _ definition: ProviderDefinition) throws(LoginError) -> LoginGrant {
        do throws(LoginError) {
            return try LoginGrant(
                kept.response, definition, catalog: instance.configuration.providers, nonce: kept.nonce)
        } catch {
            guard kept.response.isWorthKeeping(after: error) else {
                vault.drop(kept.attempt)
                throw error
            }
            guard vault.attempts().contains(kept.attempt) else { throw error }
            throw LoginError(
                error.code,
                "\(error.description). "
                    + WaitingWords.advice(kept.attempt, after: "where the configuration is to blame and put right"))
        }
    }

    private func choose(_ kept: KeptLogin, _ grant: LoginGrant) throws -> AccountID {
        if let text = kept.account { return try AccountID(text) }
        if let text = grant.accountID, let id = try? AccountID(text) { return id }
        let why = grant.accountID == nil ? "tells no account id" : "tells an account id that cannot be one here"
        throw CommandFailure(
            .local,
            "the provider's answer \(why); it is kept, sealed: name the account with "
                + "perennial login --unfinished --account ID --attempt \(kept.attempt)")
    }

    private func admit(
        _ kept: KeptLogin, _ grant: LoginGrant, id: AccountID, provider: ProviderName
    ) throws -> AccountPut {
        var traits = TraitChanges()
        if let pool = kept.pool { traits.pool = .set(try PoolName(pool)) }
        if let tier = kept.tier { traits.tier = .set(try TierName(tier)) }
        var name = kept.name
        if name == nil, let given = grant.accountName, (try? AccountIntake.check(name: given)) != nil { name = given }
        do {
            return try instance.intake.admit(
                id: id, provider: provider, name: name, credentials: grant.credentials, overwrite: .always,
                traits: traits, resumes: kept.resumes, attempt: AttemptID(rawValue: kept.attempt),
                // Fresh from the provider: what it may have refused before it has just given out.
                isForced: true, now: instance.time.wall())
        } catch {
            throw CommandFailure(
                .local,
                "\(error.description). " + WaitingWords.advice(kept.attempt, after: "when that is put right"))
        }
    }

    /// Tries until the store has it. A repeated change is recognised there, so nothing is stored twice.
    private func insist(_ put: AccountPut, _ kept: KeptLogin) async throws -> Stored {
        var kept = kept
        var pause = Duration.milliseconds(250)
        var hasComplained = false
        while true {
            do throws(StoreError) {
                try await note(put.id, in: &kept)
                return try outcome(try await instance.directory.put(put), put)
            } catch {
                guard [.unavailable, .outcomeUnknown, .refused].contains(error.code) else {
                    throw CommandFailure(
                        .remote,
                        "the log-in could not be stored: \(error.message). "
                            + WaitingWords.advice(kept.attempt, after: "when that is put right"))
                }
                if !hasComplained {
                    Terminal.standardError(
                        "Redis does not take the new tokens now (\(error.message)). They are kept, sealed, on this machine; "
                            + "trying again until it does. To stop waiting press ctrl-C: \(WaitingWords.later) later")
                    hasComplained = true
                }
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    /// Notes at which generation the account stood before the first try; where it has long gone on since, this log-in may
    /// have been in the store and used up, and is not put there once more.
    private func note(_ id: AccountID, in kept: inout KeptLogin) async throws(StoreError) {
        let generation = try await instance.directory.read(id)?.generation.rawValue ?? 0
        if let target = kept.target, target.account == id.rawValue {
            guard generation - target.generation < Self.remembered else {
                throw StoreError(
                    .corrupt,
                    "account \(id) has had \(generation - target.generation) generations since this log-in, which may be "
                        + "among them: log in anew")
            }
            return
        }
        if let target = kept.target { try await rule(out: target, kept, id) }
        kept.target = KeptLogin.Target(account: id.rawValue, generation: generation)
        try? vault.keep(kept)
    }

    /// Under another id than before: only where the account of that id has certainly not got these tokens, for two accounts
    /// that spend one refresh token end both.
    private func rule(out target: KeptLogin.Target, _ kept: KeptLogin, _ id: AccountID) async throws(StoreError) {
        guard let other = try? AccountID(target.account), let found = try await instance.directory.read(other),
            found.provider.rawValue == kept.provider, found.generation.rawValue != target.generation
        else { return }
        throw StoreError(
            .corrupt,
            "it was to be account \(other), which has changed since and may have these tokens by now: log in anew for \(id)"
        )
    }

    /// Changes of an account that the store recognises when they are repeated.
    private static let remembered: Int64 = 8

    private func outcome(_ reply: PutReply, _ put: AccountPut) throws(StoreError) -> Stored {
        switch reply {
        case .created(let generation): return Stored(account: put.id, outcome: "added", generation: generation)
        case .replaced(let generation), .kept(let generation):
            return Stored(account: put.id, outcome: "replaced", generation: generation)
        case .otherProvider(let provider):
            throw StoreError(
                .corrupt,
                "account \(put.id) exists at provider \(provider); choose another id with --account ID")
        case .refusedBefore, .tokenInUse:
            throw StoreError(.corrupt, "account \(put.id): \(reply.reasonAgainstToken(of: put) ?? "")")
        case .conflict, .tooManyLabels: throw StoreError(.corrupt, "account \(put.id) does not take it")
        }
    }

    private func withInterruption<Result: Sendable>(
        of attempt: String, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                for await _ in SignalStream() { return nil }
                return try await neverReturning()
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let result = first else {
                throw CommandFailure(
                    .remote, "interrupted; the new tokens are kept, sealed, in \(vault.path): \(WaitingWords.later)")
            }
            return result
        }
    }

    private func neverReturning<Result>() async throws -> Result {
        while true { try await Task.sleep(for: .seconds(3600)) }
    }

    private func say(_ stored: Stored, _ grant: LoginGrant) {
        guard isJSON else {
            let end = MachineClock.distance(to: grant.credentials.expiresAt, from: instance.time.wall())
            Terminal.standardOutput(
                "\(stored.account): \(stored.outcome), generation \(stored.generation), access token ends \(end)")
            return
        }
        Terminal.standardOutput(
            "{\"account\":\"\(stored.account)\",\"outcome\":\"\(stored.outcome)\",\"generation\":\(stored.generation),"
                + "\"expires_at\":\"\(MachineClock.text(grant.credentials.expiresAt))\"}")
    }
}
