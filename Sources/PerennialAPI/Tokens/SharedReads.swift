import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import RefreshCore

/// A whole encoded response, the same for everybody who waited for it.
struct SharedAnswer: Sendable {
    var status: Int
    var bytes: ByteBuffer
}

/// Token reads that memory cannot answer: one read of an account at a time, and one encoded answer for all
/// connections that have asked for it meanwhile. When a token dies under a thousand readers, waking them costs one
/// write each.
final class SharedReads: Sendable {
    /// Takes the answer, on its own event loop.
    typealias Waiter = NIOLoopBound<ConnectionHandler>

    private struct Round {
        var number: Int
        var waiters: [ObjectIdentifier: (loop: any EventLoop, waiters: [Waiter])]
    }

    private struct State {
        var rounds: [AccountID: Round] = [:]
        /// Rounds that nobody joins any more, because the account was changed here after they had begun.
        var detached: [Int: Round] = [:]
        var lastNumber = 0
    }

    private let state = NIOLockedValueBox(State())

    /// Waits for the account's answer. The first to come performs the read; a caller that goes away takes nothing
    /// from the others.
    func join(
        _ account: AccountID, _ waiter: Waiter, on loop: any EventLoop,
        perform: @escaping @Sendable () async -> SharedAnswer
    ) {
        let started: Int? = state.withLockedValue { state in
            let isFirst = state.rounds[account] == nil
            if isFirst {
                state.lastNumber += 1
                state.rounds[account] = Round(number: state.lastNumber, waiters: [:])
            }
            state.rounds[account]?.waiters[ObjectIdentifier(loop), default: (loop, [])].waiters.append(waiter)
            return isFirst ? state.lastNumber : nil
        }
        guard let number = started else { return }
        Task {
            let answer = await perform()
            for (loop, waiters) in self.end(number, of: account) {
                loop.execute { for waiter in waiters { waiter.value.deliver(answer) } }
            }
        }
    }

    /// Whoever asks from now on does not get what was read before the change.
    func detach(_ account: AccountID) {
        state.withLockedValue { state in
            guard let round = state.rounds.removeValue(forKey: account) else { return }
            state.detached[round.number] = round
        }
    }

    /// How many wait for the account.
    func waiting(_ account: AccountID) -> Int {
        state.withLockedValue { state in
            state.rounds[account]?.waiters.values.reduce(0) { $0 + $1.waiters.count } ?? 0
        }
    }

    private func end(_ number: Int, of account: AccountID) -> [(loop: any EventLoop, waiters: [Waiter])] {
        state.withLockedValue { state in
            if let round = state.detached.removeValue(forKey: number) { return Array(round.waiters.values) }
            guard let round = state.rounds.removeValue(forKey: account) else { return [] }
            return Array(round.waiters.values)
        }
    }
}
