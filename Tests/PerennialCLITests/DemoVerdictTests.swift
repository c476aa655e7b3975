import FoundationEssentials
import MockProvider
import Testing

@testable import PerennialCLI

struct DemoVerdictTests {
    private static func good() throws -> DemoVerdict {
        var verdict = DemoVerdict(plan: try DemoPlan(accounts: 2))
        verdict.spends.refreshes = 12
        verdict.hasKilled = true
        verdict.failover = .milliseconds(2104)
        verdict.leaderChanges = 1
        let reading = TokenReading(accessToken: "a", expiresAt: 2000, generation: 3, source: "memory")
        verdict.tally.record(
            .served(reading), account: 0, attempts: 1, latency: .microseconds(1500), isSteady: true, now: 1990)
        return verdict
    }

    @Test func passes() throws {
        let verdict = try Self.good()
        #expect(verdict.faults == [])
        #expect(verdict.report(hasColour: false).last == "PASS")
    }

    @Test func theFirstTenKeysAreThePromisedOnes() throws {
        let json = try Self.good().json
        let keys = [
            "accounts", "refreshes", "duplicate_spends", "families_revoked", "tokens_served", "expired_served",
            "failed_reads", "leader_changes", "failover_ms", "reads_that_waited",
        ]
        var rest = json[...]
        for key in keys {
            let start = try #require(rest.firstRange(of: "\"\(key)\":"))
            rest = rest[start.upperBound...]
        }
        let object = try #require(try FlatJSON.object(json))
        #expect(object["failover_ms"] == .number(2104))
        #expect(object["tokens_served"] == .number(1))
        #expect(object["verdict"] == .text("PASS"))
    }

    @Test func withoutAKillFailoverIsNull() throws {
        var verdict = DemoVerdict(plan: try DemoPlan(kill: DemoPlan.Kill.none))
        verdict.incidents = ["instance 2 ended by itself: \"signal\" 11"]
        let object = try #require(try FlatJSON.object(verdict.json))
        #expect(object["failover_ms"] == .null)
        #expect(object["verdict"] == .text("FAIL"))
    }

    @Test func everyWantedZeroCounts() throws {
        var verdict = try Self.good()
        verdict.spends.unforgiven = 1
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        verdict.spends.familiesRevoked = 1
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        let reading = TokenReading(accessToken: "a", expiresAt: 2000, generation: 3, source: "refresh")
        verdict.tally.record(
            .served(reading), account: 0, attempts: 1, latency: .zero, isSteady: false, now: 1990)
        #expect(verdict.hasPassed)
        verdict.tally.record(.served(reading), account: 0, attempts: 1, latency: .zero, isSteady: true, now: 1990)
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        verdict.tally.recordUse(of: reading, account: 0, accepted: false, wasExpired: false, now: 1990)
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        verdict.tally.record(
            .failed(reason: "503 Cooling"), account: 0, attempts: 3, latency: .zero, isSteady: false, now: 0)
        #expect(verdict.faults == ["1 reads failed (1 × 503 Cooling)"])

        verdict = try Self.good()
        verdict.failover = nil
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        verdict.spends.refreshes = 1
        #expect(!verdict.hasPassed)

        verdict = try Self.good()
        verdict.incidents = ["instance 1 ended by itself: signal 11"]
        #expect(!verdict.hasPassed)
        #expect(verdict.report(hasColour: false).contains("FAIL"))
    }

    @Test func aReplayCountsUnlessItWasLoggedAndTheOnlyOne() throws {
        var state = MockProviderState(
            configuration: MockProviderConfiguration(rotation: .grace(.seconds(10)), accessTokenLifetime: .seconds(20)))
        let now = MockInstant(milliseconds: 1_000_000)
        let account = try #require(state.seedAccounts(count: 1, prefix: "a", first: 1, lifetime: nil, at: now).first)
        for seconds in 0..<2 {
            _ = state.token(
                MockTokenRequest(.refreshToken(account.refreshToken)), at: now.advanced(by: .seconds(seconds)))
        }
        #expect(SpendAudit(state.ledger(), loggedRecoveries: 1).duplicateSpends == 0)
        #expect(SpendAudit(state.ledger(), loggedRecoveries: 0).duplicateSpends == 1)
        _ = state.token(MockTokenRequest(.refreshToken(account.refreshToken)), at: now.advanced(by: .seconds(3)))
        #expect(SpendAudit(state.ledger(), loggedRecoveries: 5).duplicateSpends == 1)
        _ = state.token(MockTokenRequest(.refreshToken(account.refreshToken)), at: now.advanced(by: .seconds(30)))
        let audit = SpendAudit(state.ledger(), loggedRecoveries: 5)
        #expect(audit.duplicateSpends == 2)
        #expect(audit.familiesRevoked == 1)
    }
}

/// Reads a flat JSON object into something that can be compared.
private enum FlatJSON {
    enum Value: Decodable, Equatable {
        case number(Double), text(String), null, list([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .list(try container.decode([String].self))
            }
        }
    }

    static func object(_ text: String) throws -> [String: Value]? {
        try JSONDecoder().decode([String: Value].self, from: Data(text.utf8))
    }
}
