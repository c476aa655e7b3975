/// What became of the tries of one request, for the header `Perennial-Attempts`: how many there were, and behind a `;` why
/// those that were repeated were, and why the last one was not where it might have been.
public struct AttemptLog: Sendable, Hashable, CustomStringConvertible {
    public enum Word: String, Sendable, Hashable, CaseIterable {
        case tokenRefused = "token_refused"
        case quota
        case throttled
        /// The proxy of an account could not be used.
        case proxyFailed = "proxy_failed"
        /// It had replaced another refused token a moment ago: it is not its age, and there is no newer one.
        case replacedLately = "replaced_lately"
        /// The token of an account cannot be sent where it is to stand.
        case tokenUnusable = "token_unusable"
        /// The request's body is gone: it is larger than what is kept.
        case notReplayable = "not_replayable"
        /// The budget of tries or time is used up.
        case budgetSpent = "budget_spent"
        /// The caller's own credential was passed on.
        case ownCredential = "own_credential"
        /// The configured token of last resort.
        case fallback
    }

    public private(set) var tries = 0
    public private(set) var words: [Word] = []

    public init() {}

    mutating func begin() { tries += 1 }

    mutating func note(_ word: Word) { words.append(word) }

    public var description: String {
        words.isEmpty ? "\(tries)" : "\(tries);" + words.map(\.rawValue).joined(separator: ",")
    }
}
