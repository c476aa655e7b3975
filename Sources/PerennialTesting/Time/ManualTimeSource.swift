import NIOConcurrencyHelpers
import RefreshCore

/// A clock that stands still until a test moves it: monotonic time, and a wall clock beside it that may jump.
///
/// Sleepers are woken in the order of their deadlines. A sleeper whose deadline has been reached already does not
/// suspend.
public final class ManualTimeSource: TimeSource {
    private struct Sleeper {
        var id: UInt64
        var deadline: MonotonicTime
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var monotonic = MonotonicTime(nanoseconds: 0)
        var wallOffset: Int64
        var sleepers: [Sleeper] = []
        var cancelled: Set<UInt64> = []
        var nextID: UInt64 = 0
        var started = 0
        var watchers: [(sleeps: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state: NIOLockedValueBox<State>

    /// - Parameter wall: the wall clock at monotonic zero.
    public init(wall: WallTime = WallTime(milliseconds: 1_800_000_000_000)) {
        self.state = NIOLockedValueBox(State(wallOffset: wall.milliseconds))
    }

    public func wall() -> WallTime {
        state.withLockedValue { WallTime(milliseconds: $0.wallOffset + $0.monotonic.nanoseconds / 1_000_000) }
    }

    public func monotonic() -> MonotonicTime { state.withLockedValue { $0.monotonic } }

    public func sleep(until deadline: MonotonicTime) async throws {
        let id = state.withLockedValue { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                enum Entry { case over, cancelled, asleep }
                let (entry, watchers) = state.withLockedValue { state -> (Entry, [CheckedContinuation<Void, Never>]) in
                    if state.cancelled.remove(id) != nil { return (.cancelled, []) }
                    if deadline <= state.monotonic { return (.over, []) }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    state.started += 1
                    let reached = state.watchers.filter { $0.sleeps <= state.started }
                    state.watchers.removeAll { $0.sleeps <= state.started }
                    return (.asleep, reached.map(\.continuation))
                }
                for watcher in watchers { watcher.resume() }
                switch entry {
                case .over: continuation.resume()
                case .cancelled: continuation.resume(throwing: CancellationError())
                case .asleep: break
                }
            }
        } onCancel: {
            let sleeper = state.withLockedValue { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
        state.withLockedValue { _ = $0.cancelled.remove(id) }
    }

    // MARK: Moving time

    /// Moves both clocks ahead and wakes whoever's deadline is reached.
    public func advance(by duration: Duration) { advance(to: monotonic() + duration) }

    /// Moves both clocks ahead to `target`; a target in the past moves nothing.
    public func advance(to target: MonotonicTime) {
        let woken = state.withLockedValue { state -> [Sleeper] in
            state.monotonic = max(state.monotonic, target)
            let woken = state.sleepers.filter { $0.deadline <= state.monotonic }
            state.sleepers.removeAll { $0.deadline <= state.monotonic }
            return woken.sorted { ($0.deadline, $0.id) < ($1.deadline, $1.id) }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }

    /// Moves ahead to the earliest deadline anybody sleeps until.
    ///
    /// - Returns: false when nobody sleeps; then time stands still.
    @discardableResult
    public func advanceToNextDeadline() -> Bool {
        guard let deadline = nextDeadline else { return false }
        advance(to: deadline)
        return true
    }

    /// Somebody sets the wall clock; monotonic time goes on as before.
    public func jumpWall(by duration: Duration) {
        state.withLockedValue { $0.wallOffset += duration.wholeMilliseconds }
    }

    // MARK: Watching sleepers

    /// The earliest deadline anybody sleeps until.
    public var nextDeadline: MonotonicTime? { state.withLockedValue { $0.sleepers.map(\.deadline).min() } }

    public var sleeperCount: Int { state.withLockedValue { $0.sleepers.count } }

    /// Sleeps begun so far, over included.
    public var sleepsStarted: Int { state.withLockedValue { $0.started } }

    /// Returns once more than `count` sleeps have begun. Take ``sleepsStarted`` before what is to sleep.
    public func waitForSleeper(after count: Int = 0) async {
        await withCheckedContinuation { continuation in
            let isReached = state.withLockedValue { state in
                if state.started > count { return true }
                state.watchers.append((count + 1, continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }
}
