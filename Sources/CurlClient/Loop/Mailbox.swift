import NIOConcurrencyHelpers

/// How other threads talk to the loop's thread.
final class Mailbox: Sendable {
    /// What arrived since the last look.
    struct Delivery {
        var submissions: [Transfer]
        var cancellations: [Transfer]
        /// Transfers for which a reader or a writer has made room.
        var nudges: [Transfer]
        var isClosing: Bool
    }

    private enum Phase {
        case open, closing, closed
    }

    private struct State {
        var phase = Phase.open
        var submissions: [Transfer] = []
        var cancellations: [Transfer] = []
        var nudges: [Transfer] = []
        /// The loop is in its poll, or about to enter it, and nobody has woken it yet.
        var isAsleep = false
        var onClosed: [CheckedContinuation<Void, Never>] = []

        var isEmpty: Bool {
            submissions.isEmpty && cancellations.isEmpty && nudges.isEmpty && phase == .open
        }
    }

    private let state = NIOLockedValueBox(State())

    /// Called under the lock, so that it never runs after ``close()``: by then what it wakes is gone.
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    /// False if the loop takes nothing more.
    func submit(_ transfer: Transfer) -> Bool {
        state.withLockedValue { state in
            guard state.phase == .open else { return false }
            state.submissions.append(transfer)
            wakeIfAsleep(&state)
            return true
        }
    }

    func cancel(_ transfer: Transfer) {
        state.withLockedValue { state in
            guard state.phase == .open else { return }
            state.cancellations.append(transfer)
            wakeIfAsleep(&state)
        }
    }

    /// See ``Transfer/attend()``.
    func nudge(_ transfer: Transfer) {
        state.withLockedValue { state in
            guard state.phase == .open else { return }
            state.nudges.append(transfer)
            wakeIfAsleep(&state)
        }
    }

    /// Returns when the loop has ended.
    func shutDown() async {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLockedValue { state in
                if state.phase == .closed { return true }
                state.phase = .closing
                state.onClosed.append(continuation)
                wakeIfAsleep(&state)
                return false
            }
            if isClosed { continuation.resume() }
        }
    }

    /// One wake-up serves everything that comes until the loop sleeps again.
    private func wakeIfAsleep(_ state: inout State) {
        guard state.isAsleep else { return }
        state.isAsleep = false
        wake()
    }

    // MARK: The loop's side

    func take() -> Delivery {
        state.withLockedValue { state in
            state.isAsleep = false
            let delivery = Delivery(
                submissions: state.submissions, cancellations: state.cancellations, nudges: state.nudges,
                isClosing: state.phase != .open)
            state.submissions.removeAll(keepingCapacity: true)
            state.cancellations.removeAll(keepingCapacity: true)
            state.nudges.removeAll(keepingCapacity: true)
            return delivery
        }
    }

    /// True if there is nothing to do, so that the loop may sleep; from here on whatever arrives wakes it.
    func mayFallAsleep() -> Bool {
        state.withLockedValue { state in
            state.isAsleep = state.isEmpty
            return state.isAsleep
        }
    }

    /// Nothing is accepted and nobody wakes the loop any more. Returns what came in the last moment.
    func close() -> [Transfer] {
        state.withLockedValue { state in
            state.phase = .closed
            state.isAsleep = false
            state.cancellations = []
            state.nudges = []
            defer { state.submissions = [] }
            return state.submissions
        }
    }

    func announceClosed() {
        let waiters = state.withLockedValue { state in
            defer { state.onClosed = [] }
            return state.onClosed
        }
        for waiter in waiters { waiter.resume() }
    }
}
