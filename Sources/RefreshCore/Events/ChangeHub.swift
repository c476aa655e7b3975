import NIOConcurrencyHelpers

/// Wakes those who wait for a change of an account, in this process.
///
/// Take a ``ticket(for:)`` before looking at the account, then ``wait(for:since:until:time:)``: a change that
/// happened in between ends the wait at once, so no wake-up is lost.
public final class ChangeHub: Sendable {
    private struct State {
        var counters: [AccountID: UInt64] = [:]
        var everybody: UInt64 = 0
        var waiters: [AccountID: [UInt64: CheckedContinuation<Void, Never>]] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = NIOLockedValueBox(State())

    public init() {}

    public struct Ticket: Sendable, Hashable {
        fileprivate var account: UInt64
        fileprivate var everybody: UInt64
    }

    public func ticket(for account: AccountID) -> Ticket {
        state.withLockedValue { Ticket(account: $0.counters[account] ?? 0, everybody: $0.everybody) }
    }

    /// Wakes all who wait for `account`.
    public func signal(_ account: AccountID) {
        let woken = state.withLockedValue { state in
            state.counters[account, default: 0] += 1
            return state.waiters.removeValue(forKey: account)
        }
        woken?.values.forEach { $0.resume() }
    }

    /// Wakes everybody: messages may have been missed.
    public func signalAll() {
        let woken = state.withLockedValue { state in
            state.everybody += 1
            state.counters.removeAll()
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiters in woken.values { waiters.values.forEach { $0.resume() } }
    }

    /// Returns after a change since `ticket`, or at `deadline`, or when the task is cancelled.
    public func wait(
        for account: AccountID, since ticket: Ticket, until deadline: MonotonicTime, time: any TimeSource
    ) async {
        let waiter = state.withLockedValue { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let timer = Task {
            try? await time.sleep(until: deadline)
            self.resume(waiter, of: account)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLockedValue { state in
                    let now = Ticket(account: state.counters[account] ?? 0, everybody: state.everybody)
                    if now != ticket || Task.isCancelled || time.monotonic() >= deadline { return true }
                    state.waiters[account, default: [:]][waiter] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            self.resume(waiter, of: account)
        }
        timer.cancel()
    }

    private func resume(_ waiter: UInt64, of account: AccountID) {
        let continuation = state.withLockedValue { state in
            let continuation = state.waiters[account]?.removeValue(forKey: waiter)
            if state.waiters[account]?.isEmpty == true { state.waiters[account] = nil }
            return continuation
        }
        continuation?.resume()
    }
}
