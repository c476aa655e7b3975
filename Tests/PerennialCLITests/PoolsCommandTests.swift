import Testing

@testable import PerennialCLI
@testable import RefreshCore

struct PoolsCommandTests {
    private let now = WallTime(milliseconds: 1_763_712_220_000)

    private func status(_ change: (inout PoolStatus) -> Void = { _ in }) throws -> PoolStatus {
        let account = AccountSnapshot(
            id: try AccountID("w1"), provider: try ProviderName("acme"), generation: Generation(1),
            accessToken: Secret("secret-1"), expiresAt: now + .seconds(3600), createdAt: now, updatedAt: now)
        let cooldown = Cooldown(
            key: CooldownKey(account: account.id), since: now, until: now + .seconds(90), repeats: 2, cause: "HTTP 429")
        let over = Cooldown(
            key: CooldownKey(account: account.id, dimension: "gpt-5"), since: now - .seconds(90), until: now)
        var status = PoolStatus(
            settings: PoolSettings(name: try PoolName("warp")),
            members: [PoolMember(account: account, tier: try TierName("anonymous"), standing: .cooling(cooldown))],
            cooldowns: [cooldown, over], hasFallback: true)
        change(&status)
        return status
    }

    @Test func `a pool that is exhausted says when it is not any more, and what happens until then`() throws {
        let lines = PoolsCommand.table([try status()], now: now)
        #expect(lines.count == 2)
        #expect(
            lines[1].split(separator: "  ", omittingEmptySubsequences: true).map { $0.filter { $0 != " " } } == [
                "warp", "round_robin", "1", "0", "in1min30s", "fallback",
            ])
        let available = PoolsCommand.table([try status { $0.members[0].standing = .available }], now: now)
        #expect(available[1].contains("now"))
    }

    @Test func `accounts are shown with what keeps them, cool-downs only while they run, and never a token`() throws {
        let status = try status()
        let lines = PoolsCommand.members(status, now: now) + PoolsCommand.cooldowns(status, now: now)
        #expect(lines.contains { $0.hasPrefix("w1") && $0.contains("cooling_down") && $0.contains("in 1 min 30 s") })
        #expect(
            lines.contains { $0.contains("everything") && $0.contains("nobody: a guess") && $0.contains("HTTP 429") })
        #expect(!lines.joined().contains("gpt-5") && !lines.joined().contains("secret"))
        #expect(PoolsCommand.cooldowns(status, now: now + .seconds(100)).isEmpty)
    }
}
