import PerennialTesting
import RedisStore
import RefreshCore
import Testing

/// The model that the simulator runs on, against the scripts themselves: the same operations in the same order have to
/// get the same replies and leave the same accounts behind.
@Suite(.timeLimit(.minutes(10)))
struct ModelDifferentialTests {
    static let operationsPerSeed = 600

    @Test func modelAndScriptsAgree() async throws {
        var words: Set<String> = []
        for seed in 1...8 as ClosedRange<UInt64> {
            try await StoreFixture.run { fixture in
                var comparison = ModelComparison(fixture: fixture, seed: seed)
                for number in 1...Self.operationsPerSeed where comparison.difference == nil {
                    let operation = try await comparison.performNext()
                    if let difference = comparison.difference {
                        Issue.record("seed \(seed), operation \(number), \(operation): \(difference)")
                    }
                }
                words.formUnion(comparison.repliesSeen)
            }
        }
        // Operations that never got anywhere would prove nothing.
        for word in [
            "granted", "recovery", "fresh", "blocked", "cooling", "held", "pending", "missing", "quarantined",
            "rolled back", "committed(enabled: true)", "already", "orphaned", "superseded", "settled", "moved",
            "reauth_required", "tooManyLabels", "paused", "limited", "promised", "not promised", "after failures",
            "refused before",
        ] { #expect(words.contains(word), "no reply \"\(word)\"") }
    }
}
