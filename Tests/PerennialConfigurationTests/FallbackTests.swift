import PerennialConfiguration
import RefreshCore
import Testing

struct FallbackTests {
    private static let environment = ["HOME": "/home/p", "STATIC": "from-the-environment"]

    @Test func `tokens of accounts are read and never shown`() throws {
        let configuration = try PerennialConfiguration.parse(
            """
            fallback:
              accounts:
                alice: { token: "${STATIC}" }
                bob@example.com: { token: other-token, token_type: MAC }
            """, environment: Self.environment)
        #expect(
            configuration.fallbacks == [
                try AccountID("alice"): FallbackToken(token: Secret("from-the-environment")),
                try AccountID("bob@example.com"): FallbackToken(token: Secret("other-token"), tokenType: "MAC"),
            ])
        let text = configuration.describe()
        #expect(text.contains("fallback.accounts.alice.token: set"))
        #expect(!text.contains("other-token") && !text.contains("from-the-environment"))
    }

    @Test(arguments: [
        ("{ alice: {} }", "needs token or token_file"), ("{ alice: text }", "alice"),
        ("{ alice: { token: a, token_file: /x } }", "not both"),
        ("{ alice: { token_file: /no/such/file } }", "token_file"), ("{ alice: { token: \"a b\" } }", "token"),
        ("{ \"a b\": { token: a } }", "account id"), ("{ alice: { token: a, kind: b } }", "kind"),
        ("{ alice: { token: a, token_type: \"a b\" } }", "token_type"),
    ])
    func `mistakes name the account's key`(accounts: String, expected: String) {
        let found = problems("fallback: { accounts: \(accounts) }\n", Self.environment)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains(expected) == true && found.first?.contains("yaml:1") == true, "\(found)")
    }

    @Test func `tokens of pools are read and never shown`() throws {
        let configuration = try PerennialConfiguration.parse(
            """
            pools: { warp: {} }
            fallback:
              pools:
                warp: { token: "${STATIC}", token_type: MAC }
            """, environment: Self.environment)
        let warp = try PoolName("warp")
        #expect(
            configuration.poolFallbacks == [
                warp: FallbackToken(token: Secret("from-the-environment"), tokenType: "MAC", pool: warp)
            ])
        let text = configuration.describe()
        #expect(text.contains("fallback.pools.warp.token: set"))
        #expect(!text.contains("from-the-environment"))
    }

    @Test(arguments: [
        ("{ warp: {} }", "needs token or token_file"), ("{ warp: }", "needs token or token_file"),
        ("{ wrap: { token: a } }", "is not under pools; did you mean warp?"),
        ("{ other: { token: a } }", "is not under pools; write pools: { other: {} }"),
        ("{ \"a b\": { token: a } }", "pool name"), ("{ warp: { token: \"a\\nb\" } }", "token"),
        ("{ warp: { tokens: a } }", "did you mean token?"),
    ])
    func `mistakes name the pool's key`(pools: String, expected: String) {
        let found = problems("pools: { warp: {} }\nfallback: { pools: \(pools) }\n", Self.environment)
        #expect(found.contains { $0.contains(expected) && $0.contains("yaml:2") }, "\(found)")
    }
}
