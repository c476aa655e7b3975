import NIOConcurrencyHelpers

/// Lets one fault after the other have something to itself.
final class Turns: Sendable {
    private struct State {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let box = NIOLockedValueBox(State())

    /// Waits for its turn; ``giveBack()`` ends it.
    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = box.withLockedValue { state in
                defer { state.isTaken = true }
                if state.isTaken { state.waiting.append(continuation) }
                return !state.isTaken
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let next = box.withLockedValue { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiting.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
