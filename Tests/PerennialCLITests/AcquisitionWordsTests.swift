import RefreshCore
import Testing

@testable import PerennialCLI

struct AcquisitionWordsTests {
    private let now = WallTime(milliseconds: 1_763_712_220_000)

    private func run(age: Duration, answers: Int, account: AcquiredAccount? = nil) throws -> AcquisitionRun {
        AcquisitionRun(
            attempt: AttemptID(rawValue: "run-1"), pool: try PoolName("warp"), tier: try TierName("anonymous"),
            startedAt: now - age, uuid: "u",
            answers: Array(repeating: .init(step: "create", body: Array("secret-1".utf8)), count: answers), tries: 3,
            account: account)
    }

    @Test func `what waits is told of, and what is under way is not`() throws {
        let account = AcquiredAccount(
            id: try AccountID("new-1"), provider: try ProviderName("acme"), name: nil,
            credential: .refreshToken(Secret("secret-2")))
        let warnings = AcquisitionWords.warnings(
            [
                try run(age: .seconds(10), answers: 1), try run(age: .seconds(9999), answers: 0),
                try run(age: .seconds(9999), answers: 1), try run(age: .seconds(1), answers: 0, account: account),
            ], now: now)
        #expect(warnings.count == 2)
        #expect(
            warnings.first?.contains("the pool warp is half done since 2025-11-21T05:17:01Z, tried 3 times") == true)
        #expect(warnings.last?.contains("the account new-1") == true)
        #expect(!warnings.joined().contains("secret"))
    }
}
