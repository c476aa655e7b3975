import NIOConcurrencyHelpers

/// A sleep that can be cut short: one task waits, anybody may fire. A firing while nobody waits ends the next wait at
/// once, so none is lost.
public final class Wakeup: Sendable {
    private struct State {
        var isPending = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = NIOLockedValueBox(State())

    public init() {}

    public func fire() {
        let waiter = state.withLockedValue { state in
            let waiter = state.waiter
            state.waiter = nil
            state.isPending = waiter == nil
            return waiter
        }
        waiter?.resume()
    }

    /// Returns when fired, at `deadline`, or when the task is cancelled. For one waiting task at a time.
    public func wait(until deadline: MonotonicTime, time: any TimeSource) async {
        let timer = Task {
            try? await time.sleep(until: deadline)
            if !Task.isCancelled { self.fire() }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLockedValue { state in
                    if state.isPending || Task.isCancelled {
                        state.isPending = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            self.fire()
        }
        timer.cancel()
    }
}
