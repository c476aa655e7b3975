import RefreshCore
import Testing

@testable import Perennial

/// What follows from what a call to a pool has shown.
struct PoolTurnTests {
    private let now = WallTime(milliseconds: 1_000_000)

    private func pick(_ account: String, generation: Int64 = 1, isProbe: Bool = false) throws -> PoolPick {
        let id = try AccountID(account)
        let snapshot = AccountSnapshot(
            id: id, provider: try ProviderName("mock"), generation: Generation(generation),
            accessToken: Secret("token"), expiresAt: now + .seconds(60), createdAt: now, updatedAt: now)
        let pool = try PoolName("warp")
        let lease = PoolLease(
            pool: pool, account: id, attempt: AttemptID(rawValue: "1"), holdsSlot: false, isProbe: true)
        return PoolPick(
            pool: pool, tier: try TierName("shared"),
            answer: try #require(TokenAnswer(snapshot, source: .memory, isStale: false)), lease: isProbe ? lease : nil)
    }

    @Test func aUsedUpQuotaGoesToTheNextAccount() throws {
        var turn = try PoolTurn("warp", .init(dimension: "gpt"))
        let report = turn.judge(QuotaExhausted(retryAfter: .seconds(30)), of: try pick("anna", generation: 4), now: now)
        #expect(report.outcome == .quota)
        #expect(report.account.rawValue == "anna")
        #expect(report.generation == Generation(4))
        #expect(report.until == now + .seconds(30))
        #expect(report.dimension == "gpt")
        #expect(turn.goesOn)
        let anna = try AccountID("anna")
        #expect(turn.request.excluded == [anna])
        // The body of this error may hold anything.
        #expect(!report.cause.contains("reason"))
    }

    @Test func aRefusedTokenIsTriedOnceMoreAndThenTheAccountLeftOut() throws {
        var turn = try PoolTurn("warp", .init())
        let anna = try AccountID("anna")
        let first = turn.judge(TokenRefused(), of: try pick("anna"), now: now)
        #expect(first.outcome == .tokenRefused)
        #expect(turn.request.preferred == anna)
        #expect(turn.request.refused == [anna: Generation(1)])
        #expect(turn.request.excluded.isEmpty)
        let second = turn.judge(TokenRefused(), of: try pick("anna", generation: 2), now: now)
        #expect(second.outcome == .failed, "it is not refreshed once more")
        #expect(turn.request.preferred == nil)
        #expect(turn.request.excluded == [anna])
        #expect(turn.goesOn)
    }

    @Test func triesAreBounded() throws {
        var turn = try PoolTurn("warp", .init(mostTries: 2))
        _ = turn.judge(QuotaExhausted(), of: try pick("anna"), now: now)
        #expect(turn.goesOn)
        _ = turn.judge(QuotaExhausted(), of: try pick("bert"), now: now)
        #expect(!turn.goesOn)
    }

    @Test func otherErrorsEndItAndBlameNobody() throws {
        struct Unrelated: Error {}
        var turn = try PoolTurn("warp", .init())
        let report = turn.judge(Unrelated(), of: try pick("anna"), now: now)
        #expect(report.outcome == .failed)
        #expect(!turn.goesOn)
    }

    @Test func aSuccessIsToldWithTheLeaseOfItsTrial() throws {
        var turn = try PoolTurn("warp", .init())
        let pick = try pick("anna", isProbe: true)
        let trial = turn.judge(nil, of: pick, now: now)
        #expect(trial.outcome == .ok && trial.lease == pick.lease)
        #expect(!turn.goesOn)
    }

    @Test func whatNoCallCanWant() throws {
        #expect(throws: PerennialError.self) { try PoolTurn("no pool", .init()) }
        #expect(throws: PerennialError.self) { try PoolTurn("warp", .init(session: "")) }
        #expect(throws: PerennialError.self) {
            try PoolTurn("warp", .init(dimension: String(repeating: "x", count: 101)))
        }
    }
}
