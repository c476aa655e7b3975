import NIOConcurrencyHelpers

/// Gets a pool a new account while callers wait for one: one attempt of this process at a time, however many wait. That it
/// is one of the whole fleet is the keeper's affair.
final class PoolAcquisitions: Sendable {
    enum Result: Sendable, Hashable {
        /// There is an account again, or was a moment ago.
        case worthALook
        /// Somebody is at it, and it takes longer than callers wait.
        case underWay
        /// Not before that time, where it is known.
        case refused(until: WallTime?, reason: String)
    }

    /// A run of another instance is looked after this often; what it brings is heard of at once.
    private static let beat = Duration.seconds(2)
    /// After a failure nobody asks again for this long.
    private static let rest = Duration.seconds(1)
    private static let longestRest = Duration.seconds(30)

    /// What callers wait for: an account that is available for one model or scope may not be for another.
    private struct Wish: Hashable {
        var pool: PoolName
        var dimension: String?
    }

    private struct State {
        var flights: [Wish: Task<Result, Never>] = [:]
        var rests: [Wish: (until: MonotonicTime, result: Result)] = [:]
        var bells: [Wish: Wakeup] = [:]
    }

    /// More failures are not remembered than these: callers name models and scopes as they like.
    private static let mostRests = 1000

    private let keeper: AcquisitionKeeper
    private let time: any TimeSource
    private let state = NIOLockedValueBox(State())

    init(keeper: AcquisitionKeeper, time: any TimeSource) {
        self.keeper = keeper
        self.time = time
    }

    /// Something about the pool has changed: whoever waits looks again.
    func ring(_ pool: PoolName) {
        for bell in state.withLockedValue({ $0.bells.filter { $0.key.pool == pool }.values.map { $0 } }) { bell.fire() }
    }

    func ringAll() { for bell in state.withLockedValue({ Array($0.bells.values) }) { bell.fire() } }

    /// Whether somebody waits for an account of the pool here.
    func isWaiting(_ pool: PoolName) -> Bool {
        keeper.isRunning(pool) || state.withLockedValue { $0.flights.keys.contains { $0.pool == pool } }
    }

    /// - Parameters:
    ///   - dimension: that the account has to be available for.
    ///   - patience: how long to wait for it, over all callers that join.
    ///   - isThere: whether the pool has an available account, by this instance's memory.
    ///   - arrived: told of an account that this process has acquired.
    func wait(
        for pool: PoolName, dimension: String?, limits: AcquisitionLimits, patience: Duration,
        isThere: @escaping @Sendable () async -> Bool, arrived: @escaping @Sendable (AccountID) -> Void
    ) async -> Result {
        enum Entry { case resting(Result), flying(Task<Result, Never>) }
        let wish = Wish(pool: pool, dimension: dimension)
        let entry = state.withLockedValue { state -> Entry in
            if let rest = state.rests[wish], time.monotonic() < rest.until { return .resting(rest.result) }
            if let flight = state.flights[wish] { return .flying(flight) }
            let bell = Wakeup()
            state.bells[wish] = bell
            let flight = Task {
                let result = await self.fly(pool, limits, patience, bell, isThere, arrived)
                self.land(wish, result)
                return result
            }
            state.flights[wish] = flight
            return .flying(flight)
        }
        switch entry {
        case .resting(let result): return result
        case .flying(let flight): return await flight.value
        }
    }

    private func land(_ wish: Wish, _ result: Result) {
        let now = time.monotonic()
        let wall = time.wall()
        state.withLockedValue { state in
            state.flights[wish] = nil
            state.bells[wish] = nil
            if state.rests.count >= Self.mostRests { state.rests = state.rests.filter { now < $0.value.until } }
            switch result {
            case .worthALook: state.rests[wish] = nil
            case .underWay: state.rests[wish] = (now + Self.rest, result)
            case .refused(let until, _):
                let pause = until.map { min(max($0 - wall, Self.rest), Self.longestRest) } ?? Self.rest
                state.rests[wish] = (now + pause, result)
            }
        }
    }

    private func fly(
        _ pool: PoolName, _ limits: AcquisitionLimits, _ patience: Duration, _ bell: Wakeup,
        _ isThere: @Sendable () async -> Bool, _ arrived: @Sendable (AccountID) -> Void
    ) async -> Result {
        let deadline = time.monotonic() + patience
        // The account may have come while this one was about to ask.
        var result = await isThere() ? Result.worthALook : nil
        while result == nil {
            let start: AcquisitionKeeper.Start
            do {
                start = try await keeper.begin(for: pool, limits: limits)
            } catch {
                return .refused(until: nil, reason: error.message)
            }
            switch start {
            case .begun(let run):
                let outcome = NIOLockedValueBox<AcquisitionKeeper.Outcome?>(nil)
                Task {
                    let value = await run.value
                    outcome.withLockedValue { $0 = value }
                    bell.fire()
                }
                while outcome.withLockedValue({ $0 }) == nil, time.monotonic() < deadline {
                    await bell.wait(until: deadline, time: time)
                    if await isThere() { return .worthALook }
                }
                switch outcome.withLockedValue({ $0 }) {
                case .acquired(let account):
                    arrived(account)
                    result = .worthALook
                case .failed(let failure): result = .refused(until: nil, reason: failure.description)
                case .waiting(let permit): result = Self.result(permit)
                case .idle: result = .worthALook
                case nil: result = .underWay
                }
            case .failed(let failure): result = .refused(until: nil, reason: failure.description)
            case .waiting(let permit):
                guard let next = next(permit, before: deadline) else {
                    result = Self.result(permit)
                    break
                }
                await bell.wait(until: next, time: time)
                if await isThere() {
                    result = .worthALook
                } else if time.monotonic() >= deadline {
                    result = Self.result(permit)
                }
            }
        }
        return result ?? .underWay
    }

    /// When it is worth asking again while callers still wait.
    private func next(_ permit: AcquisitionPermit, before deadline: MonotonicTime) -> MonotonicTime? {
        let now = time.monotonic()
        switch permit {
        case .underWay: return min(deadline, now + Self.beat)
        case .notBefore(let until, _):
            let next = now + max(until - time.wall(), .milliseconds(10))
            return next < deadline ? next : nil
        case .granted, .usedUp: return nil
        }
    }

    private static func result(_ permit: AcquisitionPermit) -> Result {
        switch permit {
        case .granted: .worthALook
        case .underWay: .underWay
        case .notBefore(let until, let reason):
            .refused(until: until, reason: reason.isEmpty ? "the last one was a moment ago" : reason)
        case .usedUp(let until): .refused(until: until, reason: "as many as a day may have were acquired today")
        }
    }
}
