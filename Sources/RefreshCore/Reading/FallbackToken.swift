import Logging
import NIOConcurrencyHelpers

/// A token from the configuration that stands in for the own one of an account, or of any account of a pool, while nothing
/// else is to be had.
///
/// When it ends nobody here knows, and nobody claims to.
public struct FallbackToken: Sendable, Hashable {
    public var token: Secret
    /// RFC 6749 §7.1.
    public var tokenType: String
    /// The pool that it is for; nil for an account's.
    public var pool: PoolName?

    public init(token: Secret, tokenType: String = "Bearer", pool: PoolName? = nil) {
        self.token = token
        self.tokenType = tokenType
        self.pool = pool
    }
}

/// What a caller gets: the account's own token, or what stands in for it.
public enum ServedToken: Sendable, Hashable {
    case account(TokenAnswer)
    /// With the reason why there is no token of the account's own.
    case fallback(FallbackToken, of: AccountID, RefreshFailure)
}

extension RefreshFailure {
    /// Whether a configured token may stand in: not for an account that does not exist or that a person has paused.
    var admitsFallback: Bool {
        switch code {
        case .accountNotFound, .disabled: false
        default: true
        }
    }
}

/// The configured fallback tokens, and which of them are being served.
///
/// Callers of a fallback token do not go away as callers of an error do, and a token without a generation gives a 401
/// nothing to refer to. So while one is served the account's own token is looked for at most once in a while, however
/// many ask, and at once when the fleet says that the account has changed.
public final class FallbackDesk: Sendable {
    /// The longest time for which a failure is taken for granted.
    static let longestRest = Duration.seconds(5)

    private struct Standing {
        var token: FallbackToken
        var failure: RefreshFailure
        var generation: Generation?
        var until: MonotonicTime
    }

    public let tokens: [AccountID: FallbackToken]
    /// Those of pools, and who knows whether a pool needs its own. Nil where none are configured.
    let pools: PoolFallbacks?
    private let standings = NIOLockedValueBox<[AccountID: Standing]>([:])
    private let logger: Logger

    public init(tokens: [AccountID: FallbackToken], pools: PoolFallbacks? = nil, logger: Logger) {
        self.tokens = tokens
        self.pools = pools
        self.logger = logger
    }

    /// Whether there may be one for the account.
    func mayHelp(_ account: AccountID) -> Bool { pools != nil || tokens[account] != nil }

    /// What stands in for the account's own token, and why that need not be looked for just now; nil where it has to be.
    ///
    /// - Parameters:
    ///   - known: the account, where memory is to be trusted for it.
    ///   - hearsChanges: whether a change of the account would have been heard of.
    func standing(
        for account: AccountID, known: AccountSnapshot?, hearsChanges: Bool, now: MonotonicTime, wall: WallTime
    ) -> (token: FallbackToken, failure: RefreshFailure)? {
        guard let standing = standings.withLockedValue({ $0[account] }), now < standing.until else { return nil }
        if let known {
            guard known.enabled, !known.isValid(at: wall), known.generation == standing.generation else { return nil }
            // It may have been taken out of the pool since.
            if let pool = standing.token.pool, known.pool != pool { return nil }
        } else if hearsChanges {
            return nil
        }
        return (standing.token, standing.failure)
    }

    /// There is no token of the account's own.
    func failed(
        _ account: AccountID, _ failure: RefreshFailure, served token: FallbackToken, generation: Generation?,
        now: MonotonicTime, wall: WallTime
    ) {
        let rest = min(max((failure.retryAt ?? wall) - wall, .seconds(1)), Self.longestRest)
        let isNews = standings.withLockedValue { standings in
            let old = standings.updateValue(
                Standing(token: token, failure: failure, generation: generation, until: now + rest), forKey: account)
            return old == nil
        }
        if isNews {
            logger.warning(
                """
                serving the configured fallback token\(token.pool.map { " of the pool \($0)" } ?? ""): \
                \(failure.message)
                """,
                metadata: ["account": "\(account)", "code": "\(failure.code.rawValue)"])
        }
    }

    /// The account has a token of its own again, or is none to stand in for.
    func ended(_ account: AccountID) {
        guard standings.withLockedValue({ $0.removeValue(forKey: account) }) != nil else { return }
        logger.notice("no longer serving the fallback token", metadata: ["account": "\(account)"])
    }

    /// Somebody has changed the account.
    public func note(_ change: AccountChange) {
        switch change.outcome {
        case .refreshed, .added, .removed: ended(change.account)
        case .failed, .refused, .edited: break
        }
    }
}

extension TokenReader {
    /// A token for the account, or the configured one that stands in for it: its own, else that of its pool where no other
    /// account of the pool has a valid token.
    ///
    /// A valid token of the account's own always goes before, be it one whose refresh fails.
    ///
    /// - Throws: ``RefreshFailure`` when there is neither.
    public func serve(_ request: TokenRequest) async throws(RefreshFailure) -> ServedToken {
        let account = request.account
        guard let fallbacks, fallbacks.mayHelp(account) else {
            return .account(try await token(request))
        }
        let known = deck.cache.trusted(account, now: deck.time.monotonic())
        if let standing = fallbacks.standing(
            for: account, known: known, hearsChanges: deck.cache.isSubscribed, now: deck.time.monotonic(),
            wall: deck.time.wall())
        {
            return .fallback(standing.token, of: account, standing.failure)
        }
        do {
            let answer = try await token(request)
            fallbacks.ended(account)
            return .account(answer)
        } catch {
            let snapshot = deck.cache.lastKnown(account)
            guard error.admitsFallback, let fallback = await fallback(for: account, snapshot, fallbacks) else {
                fallbacks.ended(account)
                throw error
            }
            fallbacks.failed(
                account, error, served: fallback, generation: snapshot?.generation, now: deck.time.monotonic(),
                wall: deck.time.wall())
            return .fallback(fallback, of: account, error)
        }
    }

    private func fallback(
        for account: AccountID, _ snapshot: AccountSnapshot?, _ fallbacks: FallbackDesk
    ) async -> FallbackToken? {
        if let own = fallbacks.tokens[account] { return own }
        guard let pool = snapshot?.pool, let token = fallbacks.pools?.tokens[pool] else { return nil }
        let isHelpless = await fallbacks.pools?.hasNoValidToken(
            pool, besides: account, cache: deck.cache, now: deck.time.monotonic(), wall: deck.time.wall())
        return isHelpless == true ? token : nil
    }
}
