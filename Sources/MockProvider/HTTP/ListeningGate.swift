import NIOConcurrencyHelpers

/// Lets any number of tasks wait for the server to listen, and tells them if it never will.
final class ListeningGate: Sendable {
    private enum Phase {
        case idle
        case starting
        case listening(port: Int)
        case ended(MockProviderError)
    }

    private struct State {
        var phase = Phase.idle
        var waiters: [Int: CheckedContinuation<Int, any Error>] = [:]
        var lastWaiter = 0
        /// Waiters cancelled before they could be entered.
        var cancelled: Set<Int> = []
    }

    private let state = NIOLockedValueBox(State())

    /// Takes the one start there is; false if it has been taken.
    func begin() -> Bool {
        state.withLockedValue { state in
            guard case .idle = state.phase else { return false }
            state.phase = .starting
            return true
        }
    }

    func open(port: Int) {
        finish(.listening(port: port), with: .success(port))
    }

    func end(_ error: MockProviderError) {
        finish(.ended(error), with: .failure(error))
    }

    private func finish(_ phase: Phase, with result: Result<Int, any Error>) {
        let waiters = state.withLockedValue { state in
            state.phase = phase
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiter in waiters.values {
            waiter.resume(with: result)
        }
    }

    var port: Int? {
        state.withLockedValue { state in
            if case .listening(let port) = state.phase { port } else { nil }
        }
    }

    func wait() async throws -> Int {
        let id = state.withLockedValue { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Int, any Error>? = state.withLockedValue { state in
                    switch state.phase {
                    case .listening(let port): return .success(port)
                    case .ended(let error): return .failure(error)
                    case .idle, .starting:
                        if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                        state.waiters[id] = continuation
                        return nil
                    }
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLockedValue { state in
                let waiter = state.waiters.removeValue(forKey: id)
                if waiter == nil, case .idle = state.phase { state.cancelled.insert(id) }
                if waiter == nil, case .starting = state.phase { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.resume(throwing: CancellationError())
        }
    }
}
