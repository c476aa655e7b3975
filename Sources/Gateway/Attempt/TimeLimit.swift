import NIOConcurrencyHelpers
import RefreshCore

/// Work that is waited for no longer than a time. It goes on all the same: refreshes, picks and reports concern others too.
enum TimeLimit {
    /// - Parameter late: is given what comes when nobody waits any more.
    /// - Returns: nil when the time was over first, or the calling task has been cancelled.
    static func result<Value: Sendable>(
        within limit: Duration, _ time: any TimeSource, of work: @escaping @Sendable () async -> Value,
        late: @escaping @Sendable (Value) async -> Void = { _ in }
    ) async -> Value? {
        let wait = Wait<Value>()
        Task {
            let value = await work()
            if !wait.end(value) { await late(value) }
        }
        let timer = Task {
            guard (try? await time.sleep(for: limit)) != nil else { return }
            _ = wait.end(nil)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { wait.begin($0) }
        } onCancel: {
            _ = wait.end(nil)
        }
    }

    /// Ends once.
    private final class Wait<Value: Sendable>: Sendable {
        private enum State {
            case open
            case waiting(CheckedContinuation<Value?, Never>)
            case ended(Value?)
        }

        private let state = NIOLockedValueBox(State.open)

        func begin(_ continuation: CheckedContinuation<Value?, Never>) {
            let isOver = state.withLockedValue { state -> Bool in
                if case .ended = state { return true }
                state = .waiting(continuation)
                return false
            }
            guard isOver, case .ended(let value) = state.withLockedValue({ $0 }) else { return }
            continuation.resume(returning: value)
        }

        /// False where it had ended before.
        func end(_ value: Value?) -> Bool {
            let (isFirst, continuation) = state.withLockedValue { state in
                switch state {
                case .ended: return (false, nil as CheckedContinuation<Value?, Never>?)
                case .open:
                    state = .ended(value)
                    return (true, nil)
                case .waiting(let continuation):
                    state = .ended(value)
                    return (true, continuation)
                }
            }
            continuation?.resume(returning: value)
            return isFirst
        }
    }
}
