import NIOConcurrencyHelpers

/// Work that goes on without whoever waits for it: refreshes, picks and reports concern others too.
public enum Abandonable {
    /// Waits for `work` until the calling task is cancelled.
    ///
    /// - Parameter late: is given what comes when nobody waits any more.
    /// - Returns: nil when nobody waits any more.
    public static func result<Value: Sendable>(
        of work: @escaping @Sendable () async -> Value, late: @escaping @Sendable (Value) async -> Void = { _ in }
    ) async -> Value? {
        await result(of: work, late: late, timer: nil)
    }

    /// The same, and no longer than until `deadline`.
    public static func result<Value: Sendable>(
        until deadline: MonotonicTime, _ time: any TimeSource, of work: @escaping @Sendable () async -> Value,
        late: @escaping @Sendable (Value) async -> Void = { _ in }
    ) async -> Value? {
        await result(of: work, late: late) { try await time.sleep(until: deadline) }
    }

    private static func result<Value: Sendable>(
        of work: @escaping @Sendable () async -> Value, late: @escaping @Sendable (Value) async -> Void,
        timer: (@Sendable () async throws -> Void)?
    ) async -> Value? {
        let wait = Wait<Value>()
        // Not the caller's: neither its cancellation nor its end may reach the work.
        Task {
            let value = await work()
            if !wait.end(value) { await late(value) }
        }
        let timing = timer.map { timer in
            Task { if (try? await timer()) != nil { _ = wait.end(nil) } }
        }
        defer { timing?.cancel() }
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
