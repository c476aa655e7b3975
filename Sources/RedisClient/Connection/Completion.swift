import NIOConcurrencyHelpers
import NIOCore

/// The result that one caller waits for: whoever completes it first wins, later results are dropped.
///
/// The reply, the deadline, the end of the connection and the cancellation of the calling task all race to complete
/// it, from different threads; a reply that lost is simply discarded, and its place in the reply order stays intact.
final class Completion<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, RedisError>?
        var waiter: CheckedContinuation<Result<Value, RedisError>, Never>?
        var begun = false
    }

    private let state = NIOLockedValueBox(State())

    /// One for work that the calling task is about to hand over. A task that is cancelled already hands nothing over:
    /// its work could otherwise leave before ``value()`` hears of the cancellation.
    static func forThisTask() throws(RedisError) -> Completion {
        guard !Task.isCancelled else {
            throw RedisError(.cancelled, "The calling task was cancelled.", mayHaveExecuted: false)
        }
        return Completion()
    }

    /// Called right before the work leaves this process. False when nobody waits any more: then it must not start.
    func begin() -> Bool {
        state.withLockedValue { state in
            guard state.result == nil else { return false }
            state.begun = true
            return true
        }
    }

    /// Whether this was the first result.
    @discardableResult
    func complete(_ result: Result<Value, RedisError>) -> Bool {
        let (won, waiter) = state.withLockedValue {
            state -> (Bool, CheckedContinuation<Result<Value, RedisError>, Never>?) in
            guard state.result == nil else { return (false, nil) }
            state.result = result
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        waiter?.resume(returning: result)
        return won
    }

    /// "Not begun" is decided under the same lock that ``begin()`` takes, so a false `mayHaveExecuted` is proof.
    private func cancel() {
        let resume = state.withLockedValue { state -> (() -> Void)? in
            guard state.result == nil else { return nil }
            let result = Result<Value, RedisError>.failure(
                RedisError(.cancelled, "The calling task was cancelled.", mayHaveExecuted: state.begun)
            )
            state.result = result
            guard let waiter = state.waiter else { return nil }
            state.waiter = nil
            return { waiter.resume(returning: result) }
        }
        resume?()
    }

    /// Waits for the result; cancellation of the calling task ends the wait at once.
    func value() async throws(RedisError) -> Value {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result = state.withLockedValue { state in
                    if state.result == nil { state.waiter = continuation }
                    return state.result
                }
                if let result { continuation.resume(returning: result) }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }

    /// ``value()`` with an end: after `patience` the result is the error of `late`, unless there is one already.
    func value(
        within patience: Duration, on eventLoop: any EventLoop, late: @escaping @Sendable () -> RedisError
    ) async throws(RedisError) -> Value {
        let timer = eventLoop.scheduleTask(in: TimeAmount(clamping: patience)) {
            self.complete(.failure(late()))
        }
        defer { timer.cancel() }
        return try await value()
    }
}
