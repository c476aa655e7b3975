import RedisStore
import RefreshCore

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

extension PerennialClient {
    /// Adds an account, or gives an existing one new credentials (a new log-in). From here on the fleet keeps it fresh.
    ///
    /// - Parameters:
    ///   - account: 1 to 200 characters out of letters, digits and `. _ - @ + :`.
    ///   - provider: the name of a provider of the configuration.
    ///   - refreshToken: of the log-in. From now on nobody else may spend it.
    ///   - accessToken: with `expiresAt`, or not at all: then the first refresh brings one.
    ///   - expiresAt: when the access token ends.
    ///   - name: for people. Nil leaves that of an existing account.
    ///   - pool: the pool from which callers may be given it. Nil leaves that of an existing account.
    ///   - tier: its tier in the pool.
    /// - Returns: the account's new generation.
    /// - Throws: ``PerennialError``: `invalid_argument` also for a refresh token that was refused before or is another
    ///   account's; or `CancellationError`: then it may have been added all the same, and can be added again.
    @discardableResult
    public func addAccount(
        _ account: String, provider: String, refreshToken: String, accessToken: String? = nil, expiresAt: Date? = nil,
        name: String? = nil, pool: String? = nil, tier: String? = nil
    ) async throws -> Int64 {
        let id = try Self.accountID(account)
        let put = try admit(
            id, provider: provider,
            Credentials(
                refreshToken: Secret(refreshToken), accessToken: accessToken.map { Secret($0) },
                expiresAt: expiresAt.map { WallTime(seconds: $0.timeIntervalSince1970) }),
            name: name, pool: pool, tier: tier)
        try checkOpen()
        try await waitUntilReady(patience: Self.patience)
        let directory = instance.directory
        let result = try await Abandonable.value { () async -> Result<PutReply, StoreError> in
            do throws(StoreError) { return .success(try await directory.put(put)) } catch { return .failure(error) }
        }
        let reply: PutReply
        do { reply = try result.get() } catch { throw PerennialError(error, account: id) }
        switch reply {
        case .created(let generation), .replaced(let generation), .kept(let generation):
            await forget(id, generation)
            return generation.rawValue
        case .otherProvider(let other):
            throw refusal("it exists at provider \(other): remove it there first", id)
        case .refusedBefore:
            throw refusal("this very refresh token was refused by the provider before: log in again", id)
        case .tokenInUse(let other):
            throw refusal("this very refresh token is that of account \(other): two that spend one token end both", id)
        case .conflict, .tooManyLabels:
            throw refusal("the store did not take it", id)
        }
    }

    private func admit(
        _ id: AccountID, provider: String, _ credentials: Credentials, name: String?, pool: String?, tier: String?
    ) throws(PerennialError) -> AccountPut {
        var traits = TraitChanges.none
        let providerName: ProviderName
        do {
            providerName = try ProviderName(provider)
            if let pool { traits.pool = .set(try PoolName(pool)) }
            if let tier { traits.tier = .set(try TierName(tier)) }
        } catch {
            throw PerennialError(error)
        }
        do {
            return try instance.intake.admit(
                id: id, provider: providerName, name: name, credentials: credentials, overwrite: .always,
                traits: traits, attempt: Self.attempt(), now: instance.time.wall())
        } catch {
            guard error.code == .unknownProvider else { throw refusal(error.description, id) }
            throw PerennialError(.unknownProvider, error.description, remedy: .changeSetup, account: id)
        }
    }

    /// So that the caller sees the change at once, whether or not the fleet's broadcast has arrived.
    private func forget(_ account: AccountID, _ generation: Generation) async {
        let deck = instance.coordinator.deck
        deck.cache.invalidate(AccountChange(account: account, generation: generation, outcome: .added))
        deck.hub.signal(account)
    }

    private static func attempt() -> AttemptID {
        var generator = SystemRandomNumberGenerator()
        return AttemptID(using: &generator)
    }

    private func refusal(_ message: String, _ account: AccountID) -> PerennialError {
        PerennialError(.invalidArgument, message, remedy: .changeCall, account: account)
    }
}
