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

    private let state = NIOLockedValueBox<(permits: [AcquisitionPermit], ends: [End], claims: Int)>(([], [], 0))

    /// What is answered to the next claims; afterwards everything is granted.
    func permit(_ permits: AcquisitionPermit...) { state.withLockedValue { $0.permits += permits } }

    var ends: [End] { state.withLockedValue { $0.ends } }
    var claims: Int { state.withLockedValue { $0.claims } }

    func claim(
        _ pool: PoolName, attempt: AttemptID, limits: AcquisitionLimits
    ) async throws(StoreError) -> AcquisitionPermit {
        state.withLockedValue { state in
            state.claims += 1
            return state.permits.isEmpty ? .granted : state.permits.removeFirst()
        }
    }

    func finish(_ pool: PoolName, attempt: AttemptID, error: String?, retryAfter: Duration?) async throws(StoreError) {
        state.withLockedValue { $0.ends.append(End(error: error, retryAfter: retryAfter)) }
    }
}

/// Brings accounts, one for each call.
final class FakeAcquirer: AccountAcquirer {
    private let state: NIOLockedValueBox<[Result<AcquiredAccount, AcquisitionFailure>]>
    private let count = NIOLockedValueBox(0)

    init(_ results: [Result<AcquiredAccount, AcquisitionFailure>]) { state = NIOLockedValueBox(results) }

    var runs: Int { count.withLockedValue { $0 } }

    func acquire(for pool: PoolName) async throws(AcquisitionFailure) -> AcquiredAccount {
        count.withLockedValue { $0 += 1 }
        let result = state.withLockedValue { $0.isEmpty ? nil : $0.removeFirst() }
        guard let result else { throw AcquisitionFailure(.refused, step: "create", "HTTP 403") }
        return try result.get()
    }
}

/// A disk.
final class FakeVault: AcquiredAccountVault {
    typealias Entry = (pool: PoolName, attempt: AttemptID, account: AcquiredAccount)

    private let entries = NIOLockedValueBox<[Entry]>([])
    private let kept = NIOLockedValueBox(0)
    private let isFull: Bool

    init(isFull: Bool = false) { self.isFull = isFull }

    var everKept: Int { kept.withLockedValue { $0 } }

    func keep(_ account: AcquiredAccount, for pool: PoolName, attempt: AttemptID) throws(AcquisitionFailure) {
        if isFull { throw AcquisitionFailure(.unstored, step: nil, "the disk is full") }
        kept.withLockedValue { $0 += 1 }
        entries.withLockedValue { $0.append((pool, attempt, account)) }
    }

    func drop(_ attempt: AttemptID) { entries.withLockedValue { $0.removeAll { $0.attempt == attempt } } }
    func left() -> [Entry] { entries.withLockedValue { $0 } }
}

/// Pools whose accounts a test sets.
final class FakePoolStore: PoolStore {
    struct Note: Sendable, Equatable {
        var isExhausted: Bool
        var available: Int
    }

    private let state = NIOLockedValueBox<(members: [AccountSnapshot], notes: [Note], looks: Int)>(([], [], 0))

    func set(_ members: [AccountSnapshot]) { state.withLockedValue { $0.members = members } }
    var notes: [Note] { state.withLockedValue { $0.notes } }
    var looks: Int { state.withLockedValue { $0.looks } }

    func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        state.withLockedValue { state in
            state.looks += 1
            return state.members
        }
    }

    func note(_ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?) async throws(StoreError) {
        state.withLockedValue { $0.notes.append(Note(isExhausted: isExhausted, available: count.totalAvailable)) }
    }
}
