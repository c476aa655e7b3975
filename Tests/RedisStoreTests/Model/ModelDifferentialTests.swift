import PerennialTesting
import RedisStore
import RefreshCore
import Testing

/// The model that the simulator runs on, against the scripts themselves: the same operations in the same order have to
/// get the same replies and leave the same accounts behind.
@Suite(.timeLimit(.minutes(3)))
struct ModelDifferentialTests {
    static let operationsPerSeed = 600

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func modelAndScriptsAgree(seed: UInt64) async throws {
        try await StoreFixture.run { fixture in
            var comparison = ModelComparison(fixture: fixture, seed: seed)
            for number in 1...Self.operationsPerSeed {
                let operation = try await comparison.performNext()
                if let difference = comparison.difference {
                    Issue.record("seed \(seed), operation \(number), \(operation): \(difference)")
                    return
                }
            }
            // Random operations that never got anywhere would prove nothing.
            let words = comparison.repliesSeen
            for word in [
                "granted", "recovery", "fresh", "blocked", "cooling", "held", "pending", "missing", "quarantined",
                "rolled back", "committed(enabled: true)", "already", "orphaned", "settled", "moved", "reauth_required",
            ] { #expect(words.contains(word), "no reply \"\(word)\" with seed \(seed)") }
        }
    }
}
