import RefreshCore

#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// An access token for one call or a few, and what is known of it.
///
/// Printing, interpolating, dumping or reflecting one never shows the token itself. The ways to it are ``reveal()`` and
/// ``revealAuthorization()``, so every place that uses a token can be found by searching for the word.
public struct AccessToken: Sendable, Hashable {
    /// The account whose token this is. Nil for the configured token of a pool, which is nobody's.
    public let account: String?
    /// The pool that it was taken from, or whose configured token it is.
    public let pool: String?
    /// Grows by one whenever the account's credentials are replaced. Nil for a configured token, which is of none.
    public let generation: Int64?
    /// When it ends, on the clock that the fleet shares. Nil where nobody knows: a configured token.
    public let expiresAt: Date?
    /// RFC 6749 §7.1: as a rule `Bearer`.
    public let type: String
    /// Still valid, but a refresh that should have replaced it has not worked; or a configured token that stands in.
    public let isStale: Bool

    private let secret: Secret

    /// The token. Never pass it to a log, an error, a metric or a command line.
    public func reveal() -> String { secret.reveal() }

    /// The value of an `Authorization` header (RFC 6750 §2.1): the type, a blank, the token.
    public func revealAuthorization() -> String { "\(type) \(secret.reveal())" }

    init(_ answer: TokenAnswer, pool: PoolName? = nil) {
        account = answer.snapshot.id.rawValue
        self.pool = pool?.rawValue
        generation = answer.snapshot.generation.rawValue
        expiresAt = Date(answer.expiresAt)
        type = answer.snapshot.tokenType
        isStale = answer.isStale
        secret = answer.accessToken
    }

    init(_ fallback: FallbackToken, of account: AccountID?) {
        self.account = account?.rawValue
        pool = fallback.pool?.rawValue
        generation = nil
        expiresAt = nil
        type = fallback.tokenType
        isStale = true
        secret = fallback.token
    }

    init(_ served: ServedToken) {
        switch served {
        case .account(let answer): self.init(answer)
        case .fallback(let token, let account, _): self.init(token, of: account)
        }
    }

    init(_ token: PoolToken, pool: PoolName) {
        switch token {
        case .account(let pick): self.init(pick.answer, pool: pool)
        case .fallback(let token, _): self.init(token, of: nil)
        }
    }

    /// Whether a call with it can bring nothing new after a call with the other.
    func isSameToken(as other: AccessToken) -> Bool { secret == other.secret }
}

extension AccessToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Whose it is and of which generation; never the token.
    public var description: String {
        let whose = account.map { "account \($0)" } ?? "pool \(pool ?? "")"
        return "access token of \(whose), \(generation.map { "generation \($0)" } ?? "configured")"
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Date {
    init(_ time: WallTime) {
        self.init(timeIntervalSince1970: Double(time.milliseconds) / 1000)
    }
}
