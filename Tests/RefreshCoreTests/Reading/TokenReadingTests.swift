import RefreshCore
import Testing

@Suite("Reading a token: the decisions")
struct TokenReadingTests {
    private func look(
        _ reading: inout TokenReading, _ snapshot: AccountSnapshot, _ bench: MachineBench
    ) -> TokenReading.Step {
        reading.look(at: snapshot, source: .memory, policy: .test(), now: bench.now.wall)
    }

    private func refreshed(
        _ reading: inout TokenReading, _ result: RefreshResult, _ bench: MachineBench
    ) -> TokenReading.Step {
        reading.refreshed(result, known: nil, policy: .test(), now: bench.now.wall)
    }

    private func wanted(_ step: TokenReading.Step) -> Generation? {
        if case .refresh(_, _, let generation) = step { generation } else { nil }
    }

    private func served(_ step: TokenReading.Step) -> Generation? {
        if case .answer(let answer, _) = step { answer.snapshot.generation } else { nil }
    }

    /// An instance that still knows generation 5 is told that 6 was refused, and finds 6 in the store.
    @Test("what others have brought is not served to whom it was refused")
    func refusedElsewhere() throws {
        let bench = try MachineBench()
        let valid = { bench.snapshot(remaining: .seconds(3000), generation: $0) }
        var reading = TokenReading(request: TokenRequest(account: valid(5).id, refused: Generation(6)))
        #expect(wanted(look(&reading, valid(5), bench)) == Generation(5))
        #expect(wanted(refreshed(&reading, .newer(valid(6)), bench)) == Generation(6))
        #expect(served(refreshed(&reading, .newer(valid(7)), bench)) == Generation(7))
    }

    /// Nothing could ever be newer than what such a caller names; each of its reads refreshes once and no more.
    @Test("a generation that nobody has served costs one refresh")
    func refusedAhead() throws {
        let bench = try MachineBench()
        let valid = { bench.snapshot(remaining: .seconds(3000), generation: $0) }
        var reading = TokenReading(request: TokenRequest(account: valid(5).id, refused: Generation(1_000_000)))
        #expect(wanted(look(&reading, valid(5), bench)) == Generation(5))
        #expect(served(refreshed(&reading, .refreshed(valid(6)), bench)) == Generation(6))
    }

    @Test("where the provider is not configured, a token older than the refused one is refused too")
    func refusedWithoutPolicy() throws {
        let bench = try MachineBench()
        let old = bench.snapshot(remaining: .seconds(3000), generation: 5)
        var reading = TokenReading(request: TokenRequest(account: old.id, refused: Generation(6)))
        #expect(served(reading.look(at: old, source: .memory, policy: nil, now: bench.now.wall)) == nil)
        var other = TokenReading(request: TokenRequest(account: old.id, refused: Generation(4)))
        #expect(served(other.look(at: old, source: .memory, policy: nil, now: bench.now.wall)) == Generation(5))
    }
}
