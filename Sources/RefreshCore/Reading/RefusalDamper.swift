import NIOConcurrencyHelpers

/// Keeps an account from being refreshed for each of its calls when its tokens are refused however new they are.
///
/// A refusal says that a token has died, and a newer one helps. Where that is refused as well, shortly after, the reason is
/// another one: a scope that the account has not, a plan that has ended, an address that is blocked. A provider whose refresh
/// tokens rotate would be asked for a new pair with each call, and nothing would come of it. So an account whose token was
/// replaced because of a refusal is not refreshed for another one for a while, which doubles each time that the next refusal
/// is not long in coming.
///
/// Each instance counts for itself: it costs no command of the store.
public final class RefusalDamper: Sendable {
    /// After the first replacement.
    static let firstRest = Duration.seconds(5)
    static let longestRest = Duration.seconds(3600)
    /// A refusal that comes within this time, or four times the rest before, makes the next rest longer.
    static let memory = Duration.seconds(120)
    /// Beyond this number of accounts those are forgotten whose time is over.
    private static let mostAccounts = 4096

    private struct Replacement {
        /// What the refused token was replaced by.
        var generation: Generation
        var at: MonotonicTime
        var rest: Duration

        var restsUntil: MonotonicTime { at + rest }
        var isRememberedUntil: MonotonicTime { at + max(rest * 4, RefusalDamper.memory) }
    }

    private let replacements = NIOLockedValueBox<[AccountID: Replacement]>([:])

    public init() {}

    /// Until when the account is not refreshed because the token of `generation` was refused; nil where it may be.
    public func rest(of account: AccountID, refused generation: Generation, now: MonotonicTime) -> MonotonicTime? {
        replacements.withLockedValue { replacements in
            guard let last = replacements[account], last.generation <= generation, now < last.restsUntil else {
                return nil
            }
            return last.restsUntil
        }
    }

    /// The account has `generation` because the token of an older one was refused. Told by everybody who waited for it.
    func replaced(_ account: AccountID, by generation: Generation, now: MonotonicTime) {
        replacements.withLockedValue { replacements in
            let last = replacements[account]
            if let last, last.generation >= generation { return }
            if last == nil, replacements.count >= Self.mostAccounts {
                replacements = replacements.filter { now < $0.value.isRememberedUntil }
            }
            let isRepeated = last.map { now < $0.isRememberedUntil } ?? false
            let rest = isRepeated ? last.map { min($0.rest * 2, Self.longestRest) } : nil
            replacements[account] = Replacement(generation: generation, at: now, rest: rest ?? Self.firstRest)
        }
    }
}
