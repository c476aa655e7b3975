import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore

let warp = PoolFixture.name("warp")

enum PoolFixture {
    static func name(_ text: String) -> PoolName {
        do {
            return try PoolName(text)
        } catch {
            preconditionFailure("bad pool name in a test: \(error)")
        }
    }

    static func tier(_ text: String) -> TierName {
        do {
            return try TierName(text)
        } catch {
            preconditionFailure("bad tier name in a test: \(error)")
        }
    }
}

/// Permits as told, and remembers how runs ended.
final class FakeAcquisitionStore: AcquisitionStore {
    struct End: Sendable, Equatable {
        var error: String?
        var retryAfter: Duration?
    }

    private let state = NIOLockedValueBox<(permits: [AcquisitionPermit], ends: [End], claims: Int, continued: Int)>(
        ([], [], 0, 0))

    /// What is answered to the next claims; afterwards everything is granted.
    func permit(_ permits: AcquisitionPermit...) { state.withLockedValue { $0.permits += permits } }

    var ends: [End] { state.withLockedValue { $0.ends } }
    var claims: Int { state.withLockedValue { $0.claims } }
    /// How many of them were for runs that had been counted.
    var continued: Int { state.withLockedValue { $0.continued } }

    func claim(
        _ pool: PoolName, attempt: AttemptID, limits: AcquisitionLimits, continues: Bool
    ) async throws(StoreError) -> AcquisitionPermit {
        state.withLockedValue { state in
            state.claims += 1
            if continues { state.continued += 1 }
            return state.permits.isEmpty ? .granted : state.permits.removeFirst()
        }
    }

    func finish(_ pool: PoolName, attempt: AttemptID, error: String?, retryAfter: Duration?) async throws(StoreError) {
        state.withLockedValue { $0.ends.append(End(error: error, retryAfter: retryAfter)) }
    }
}

/// A chain whose steps a test plays: what each call brings, and how it ends.
final class FakeAcquirer: AccountAcquirer {
    /// What a call does before it ends.
    enum Bringing: Sendable {
        case nothing
        /// An answer with so many values in it.
        case values(Int)
        /// An answer, and then nothing more before the test says so.
        case valuesAndWaits(Int)
    }

    private struct State {
        var results: [(bringing: Bringing, result: Result<AcquiredAccount, AcquisitionFailure>)]
        var seen: [AcquisitionRun] = []
        var isReadable = true
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: NIOLockedValueBox<State>

    init(_ results: [Result<AcquiredAccount, AcquisitionFailure>], bringing: Bringing = .nothing) {
        state = NIOLockedValueBox(State(results: results.map { (bringing, $0) }))
    }

    /// How often it was called.
    var runs: Int { seen.count }
    /// The runs as they were given to it.
    var seen: [AcquisitionRun] { state.withLockedValue { $0.seen } }
    var isWaiting: Bool { state.withLockedValue { $0.waiter != nil } }

    func becomeUnreadable() { state.withLockedValue { $0.isReadable = false } }
    func release() {
        let waiter = state.withLockedValue { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func advance(
        _ run: AcquisitionRun, keep: @Sendable (AcquisitionRun) -> Void
    ) async throws(AcquisitionFailure) -> AcquiredAccount {
        let next = state.withLockedValue { state in
            state.seen.append(run)
            return state.results.isEmpty ? nil : state.results.removeFirst()
        }
        guard let next else { throw AcquisitionFailure(.refused, step: "create", "HTTP 403") }
        switch next.bringing {
        case .nothing: break
        case .values(let count): keep(answered(run, count))
        case .valuesAndWaits(let count):
            keep(answered(run, count))
            await withCheckedContinuation { continuation in state.withLockedValue { $0.waiter = continuation } }
        }
        return try next.result.get()
    }

    private func answered(_ run: AcquisitionRun, _ values: Int) -> AcquisitionRun {
        var run = run
        run.answers.append(.init(step: "create", body: [UInt8](repeating: 7, count: values)))
        return run
    }

    func progress(of run: AcquisitionRun) -> AcquisitionProgress {
        AcquisitionProgress(
            values: run.answers.reduce(0) { $0 + $1.body.count }, isReadable: state.withLockedValue { $0.isReadable })
    }
}

/// A disk.
final class FakeVault: AcquisitionRunVault {
    private let entries = NIOLockedValueBox<[AttemptID: AcquisitionRun]>([:])
    private let kept = NIOLockedValueBox(0)
    private let isFull: Bool

    init(isFull: Bool = false) { self.isFull = isFull }

    var everKept: Int { kept.withLockedValue { $0 } }

    func keep(_ run: AcquisitionRun) throws(AcquisitionFailure) {
        if isFull { throw AcquisitionFailure(.unstored, step: nil, "the disk is full") }
        kept.withLockedValue { $0 += 1 }
        entries.withLockedValue { $0[run.attempt] = run }
    }

    func drop(_ attempt: AttemptID) { entries.withLockedValue { $0[attempt] = nil } }
    func left() -> [AcquisitionRun] {
        entries.withLockedValue { $0.values.sorted { $0.attempt.rawValue < $1.attempt.rawValue } }
    }
}

/// Pools whose accounts a test sets.
final class FakePoolStore: PoolStore {
    struct Note: Sendable, Equatable {
        var isExhausted: Bool
        var available: Int
    }

    private let state = NIOLockedValueBox<(members: [AccountSnapshot], notes: [Note], looks: Int)>(([], [], 0))

    private let isDown = NIOLockedValueBox(false)

    func setDown(_ down: Bool) { isDown.withLockedValue { $0 = down } }
    func set(_ members: [AccountSnapshot]) { state.withLockedValue { $0.members = members } }
    var notes: [Note] { state.withLockedValue { $0.notes } }
    var looks: Int { state.withLockedValue { $0.looks } }

    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        if isDown.withLockedValue({ $0 }) { throw StoreError(.unavailable, "Redis is away") }
        return state.withLockedValue { state in
            state.looks += 1
            return state.members
        }
    }

    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError) {
        state.withLockedValue { $0.notes.append(Note(isExhausted: isExhausted, available: count.totalAvailable)) }
    }
}
