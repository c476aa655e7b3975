import Logging
import NIOConcurrencyHelpers
import PerennialTesting
import RefreshCore
import Synchronization
import Testing

func accountID(_ text: String) throws -> AccountID { try AccountID(text) }

let acme = ProviderFixture.name("acme")

enum ProviderFixture {
    static func name(_ text: String) -> ProviderName {
        do {
            return try ProviderName(text)
        } catch {
            preconditionFailure("bad provider name in a test: \(error)")
        }
    }
}

/// Waits for a condition; the limit is generous because machines that run tests are busy.
func eventually(
    _ what: Comment, within limit: Duration = .seconds(40), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    var rounds = 0
    while try await !condition() {
        if ContinuousClock.now >= deadline {
            Issue.record(what, sourceLocation: sourceLocation)
            throw NeverHappened(description: what.description)
        }
        // Most conditions hold within a few turns of the executor; a longer wait must not burn a core.
        rounds += 1
        if rounds < 50 { await Task.yield() } else { try await Task.sleep(for: .milliseconds(1)) }
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Keeps the lines that its logger is given.
final class CapturedLog: Sendable {
    private let kept = NIOLockedValueBox<[String]>([])

    var lines: [String] { kept.withLockedValue { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: CapturedLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { log.kept.withLockedValue { $0.append("\(event.message)") } }
    }
}

/// The machine's own clock, for tests whose numbers of tasks make manual time pointless.
func realTime() -> FleetClock { FleetClock(initialWall: WallTime(milliseconds: 1_800_000_000_000)) }

extension ModelPolicies {
    /// For tests in real time: a busy machine may take seconds between BEGIN and the exchange, which the default
    /// send-by deadline of 2 s rightly does not allow.
    static var patient: ModelPolicies {
        ModelPolicies(
            .test {
                $0.sendBy = .seconds(60)
                $0.lockTTL = .seconds(120)
            })
    }
}

extension RefreshPolicy {
    static func test(_ rotation: RotationBehaviour = .singleUse, _ change: (inout RefreshPolicy) -> Void = { _ in })
        -> RefreshPolicy
    {
        var policy = RefreshPolicy(provider: acme, rotation: rotation)
        change(&policy)
        return policy
    }
}

/// Raised once, seen by all.
final class Flag: Sendable {
    private let state = Atomic(false)
    var isUp: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}

/// Counts from many tasks.
final class Counter: Sendable {
    private let state = Atomic(0)
    var value: Int { state.load(ordering: .acquiring) }
    func add(_ amount: Int = 1) { state.add(amount, ordering: .acquiringAndReleasing) }
}
