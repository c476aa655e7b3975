import RefreshCore
import Testing

struct SnapshotTests {
    private func snapshot(obtainedAt: Int64, expiresAt: Int64) throws -> AccountSnapshot {
        AccountSnapshot(
            id: try AccountID("a"), provider: try ProviderName("p"), generation: Generation(1),
            accessToken: Secret("token"), expiresAt: WallTime(milliseconds: expiresAt),
            obtainedAt: WallTime(milliseconds: obtainedAt), createdAt: WallTime(milliseconds: 0),
            updatedAt: WallTime(milliseconds: 0))
    }

    @Test func aTokenIsValidUntilItsExpiry() throws {
        let snapshot = try snapshot(obtainedAt: 100_000, expiresAt: 160_000)
        #expect(snapshot.isValid(at: WallTime(milliseconds: 159_999)))
        #expect(!snapshot.isValid(at: WallTime(milliseconds: 160_000)))
        #expect(snapshot.remaining(at: WallTime(milliseconds: 159_000)) == .seconds(1))
    }

    /// A clock that was an hour ahead when the token was stored, and has been set right since.
    @Test func aTokenFromTheFutureIsNotValid() throws {
        let snapshot = try snapshot(obtainedAt: 3_700_000, expiresAt: 3_760_000)
        #expect(!snapshot.isValid(at: WallTime(milliseconds: 100_000)))
        #expect(snapshot.remaining(at: WallTime(milliseconds: 100_000)) == .zero)
        // Instances need not agree to the second.
        #expect(snapshot.isValid(at: WallTime(milliseconds: 3_697_000)))
    }
}
