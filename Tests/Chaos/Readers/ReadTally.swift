import NIOConcurrencyHelpers

/// What the readers have seen.
final class ReadTally: Sendable {
    struct Counts: Sendable, Codable {
        /// Reads that were answered with a token.
        var served = 0
        /// Answers without a token, by status; `none` for no answer.
        var failures: [String: Int] = [:]
        /// Tokens that had expired by the provider's clock before the read was even sent. Must be 0.
        var expired = 0
        /// Of another account, or not the provider's at all. Must be 0.
        var foreign = 0
        /// Another token under a generation that had been served before. Must be 0.
        var altered = 0
        /// Good by their expiry, but revoked by the provider: accounts that have been lost.
        var revoked = 0
        /// Tokens that the provider's API took.
        var taken = 0
        /// The longest wait for a token that was served, in milliseconds.
        var slowest: Int64 = 0
    }

    private struct State {
        var counts = Counts()
        /// The hash of the token by account and generation.
        var known: [String: [Int64: Int]] = [:]
        var incidents: [String] = []

        mutating func note(_ text: String) {
            if incidents.count < ReadTally.maxIncidents { incidents.append(text) }
        }
    }

    private let box = NIOLockedValueBox(State())
    private static let maxIncidents = 50

    var counts: Counts { box.withLockedValue { $0.counts } }
    /// The first things that must not happen, in words.
    var incidents: [String] { box.withLockedValue { $0.incidents } }

    func failed(_ status: Int?) {
        box.withLockedValue { $0.counts.failures[status.map(String.init) ?? "none", default: 0] += 1 }
    }

    /// - Parameter sentAt: when the read was sent.
    func served(_ token: ServedToken, account: String, by instance: Int, sentAt: Int64, took: Int64) {
        box.withLockedValue { state in
            state.counts.served += 1
            state.counts.slowest = max(state.counts.slowest, took)
            let hash = token.accessToken.hashValue
            if let before = state.known[account]?[token.generation], before != hash {
                state.counts.altered += 1
                state.note("instance \(instance) served another token of generation \(token.generation) of \(account)")
            }
            state.known[account, default: [:]][token.generation] = hash
            guard let expiresAt = token.expiresAt else {
                state.counts.foreign += 1
                state.note("instance \(instance) served a token for \(account) that is not the provider's")
                return
            }
            // Both clocks are this machine's, and the read was sent before it was answered: no tolerance is needed.
            if expiresAt <= sentAt {
                state.counts.expired += 1
                state.note(
                    "instance \(instance) served generation \(token.generation) of \(account) "
                        + "\(sentAt - expiresAt) ms after it had expired (at \(sentAt))")
            }
        }
    }

    func presented(_ verdict: Presentation, account: String) {
        box.withLockedValue { state in
            switch verdict {
            case .taken: state.counts.taken += 1
            case .revoked: state.counts.revoked += 1
            case .foreign(let owner):
                state.counts.foreign += 1
                state.note("the token served for \(account) is one of \(owner)")
            case .expired, .unknown: break
            }
        }
    }

    /// What the provider's API said to a token.
    enum Presentation: Sendable {
        case taken
        /// It ended on its way here: the moment of serving decides, not this one.
        case expired
        case revoked
        case foreign(String)
        /// No answer.
        case unknown
    }
}
