import NIOConcurrencyHelpers
import RefreshCore

/// Clocks that stand until they are moved; sleeping takes real time.
final class ManualTime: TimeSource {
    private let state: NIOLockedValueBox<(wall: WallTime, monotonic: MonotonicTime)>

    init(wall: WallTime) {
        state = NIOLockedValueBox((wall, MonotonicTime(nanoseconds: 1_000_000_000)))
    }

    func wall() -> WallTime { state.withLockedValue { $0.wall } }
    func monotonic() -> MonotonicTime { state.withLockedValue { $0.monotonic } }

    func advance(_ duration: Duration) {
        state.withLockedValue { $0 = ($0.wall + duration, $0.monotonic + duration) }
    }

    func sleep(until deadline: MonotonicTime) async throws {
        try await Task.sleep(for: max(.zero, deadline - monotonic()))
    }
}

/// A token endpoint with a fixed answer for every spend.
final class FakeEndpoint: TokenEndpoint {
    private let state: NIOLockedValueBox<ExchangeOutcome?>
    private let time: ManualTime
    private let gate = NIOLockedValueBox<[CheckedContinuation<Void, Never>]?>(nil)

    init(time: ManualTime) {
        self.time = time
        state = NIOLockedValueBox(nil)
    }

    /// Nil: rotate to a token of an hour.
    func answer(_ outcome: ExchangeOutcome?) { state.withLockedValue { $0 = outcome } }

    /// Holds exchanges back until ``release()``.
    func hold() { gate.withLockedValue { $0 = [] } }

    func release() {
        let waiting = gate.withLockedValue { gate in
            defer { gate = nil }
            return gate ?? []
        }
        waiting.forEach { $0.resume() }
    }

    var isWaitedFor: Bool { gate.withLockedValue { $0?.isEmpty == false } }

    func spend(
        _ claim: RefreshClaim, policy: RefreshPolicy, sendBy: MonotonicTime, deadline: MonotonicTime
    ) async -> ExchangeResult {
        await withCheckedContinuation { continuation in
            let isHeld = gate.withLockedValue { gate in
                guard gate != nil else { return false }
                gate?.append(continuation)
                return true
            }
            if !isHeld { continuation.resume() }
        }
        return .answered(
            RawTokenResponse(
                status: 200, headers: [], body: Array("\(claim.generation.next)".utf8), requestedAt: time.wall()))
    }

    func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome {
        if let outcome = state.withLockedValue({ $0 }) { return outcome }
        let number = String(decoding: response.body, as: UTF8.self)
        return .rotated(
            TokenGrant(
                accessToken: Secret("at-\(number)"), refreshToken: Secret("rt-\(number)"), tokenType: "Bearer",
                expiresAt: time.wall() + .seconds(3600)))
    }
}

final class FakeJournal: ResponseJournal {
    let isBroken = NIOLockedValueBox(false)

    func checkWritable() async throws(JournalError) {
        if isBroken.withLockedValue({ $0 }) { throw JournalError("the disk is full: make room") }
    }
    func append(_ entry: JournalEntry) async throws(JournalError) {}
    func release(_ attempt: AttemptID) async {}
    func pending() async -> [JournalEntry] { [] }
    func retain(_ attempt: AttemptID) async {}
    func retained() async -> [JournalEntry] { [] }
    func releaseExpired() async {}
    func entries(of account: AccountID) async -> [JournalEntry] { [] }
}

struct FakePolicies: PolicySource {
    var providers: [ProviderName]
    /// What accounts are made of at providers without refresh tokens.
    var accountFields: [ProviderName: [String]] = [:]

    func policy(for provider: ProviderName) -> RefreshPolicy? {
        guard providers.contains(provider) || accountFields[provider] != nil else { return nil }
        return RefreshPolicy(provider: provider, accountFields: accountFields[provider])
    }
}

struct FakeRegistry: InstanceRegistry {
    var all: [InstanceInfo]

    func announce(_ instance: InstanceInfo, ttl: Duration) async throws(StoreError) {}
    func withdraw(_ instance: InstanceID) async throws(StoreError) {}
    func instances() async throws(StoreError) -> [InstanceInfo] { all }
}

final class FakeMonitor: ProviderMonitor {
    let conditions = NIOLockedValueBox<[ProviderName: ProviderCondition]>([:])

    func conditions(of providers: [ProviderName]) async throws(StoreError) -> [ProviderCondition] {
        conditions.withLockedValue { known in
            providers.map { known[$0] ?? ProviderCondition(provider: $0) }
        }
    }
}
