import FoundationEssentials
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

struct PoolSectionTests {
    private static let environment = ["HOME": "/home/p", "KEY": "k3y-of-the-environment"]

    private static let yaml = """
        providers:
          warp:
            token_url: https://warp.example/token
            client_id: c
            client_auth: none
            vars: { key: "${KEY}" }
        pools:
          plain: { tiers: [shared, personal] }
          warp:
            acquisition:
              provider: warp
              steps:
                - name: create
                  request: { url: "https://app.example/x", json: { key: "{{ vars.key }}", fixed: a-fixed-secret } }
                  extract: { token: /token }
              refresh_token: "{{ steps.create.token }}"
        """

    @Test func `the effective settings are shown, and nothing that is sent`() throws {
        let configuration = try PerennialConfiguration.parse(Self.yaml, environment: Self.environment)
        let text = configuration.describe()
        for line in [
            "pools.plain.strategy: round_robin", "pools.plain.max_concurrent: off", "pools.plain.lease_ttl: 10m",
            "pools.plain.acquisition_wait: 15s", "pools.plain.cooldown.quota: 1m",
            "pools.plain.cooldown.throttled: 10s", "pools.plain.cooldown.longest: 1h",
            "pools.plain.cooldown.limit: 7d", "pools.plain.tiers: shared, personal", "pools.plain.acquisition: off",
            "pools.warp.tiers: anonymous, shared, personal", "pools.warp.acquisition.provider: warp",
            "pools.warp.acquisition.steps: create", "pools.warp.acquisition.tier: anonymous",
            "pools.warp.acquisition.min_available: 1", "pools.warp.acquisition.max_per_day: 10",
            "pools.warp.acquisition.min_interval: 1m", "pools.warp.acquisition.step_timeout: 20s",
        ] {
            #expect(text.split(separator: "\n").contains { $0 == line }, "\(line)")
        }
        #expect(!text.contains("k3y-of-the-environment") && !text.contains("a-fixed-secret"))
    }

    @Test func `everything about picking can be set, and what is not set fits what is`() throws {
        let configuration = try PerennialConfiguration.parse(
            """
            pools:
              a:
                strategy: sticky
                max_concurrent: 4
                lease_ttl: 90s
                acquisition_wait: 0s
                cooldown: { quota: 2h, throttled: 30s }
              b: { cooldown: { longest: 30d } }
            """, environment: Self.environment)
        let a = try #require(configuration.pools.settings[try PoolName("a")])
        #expect(a.strategy == .sticky && a.maxConcurrent == 4)
        #expect(a.leaseTTL == .seconds(90) && a.acquisitionWait == .zero)
        #expect(a.cooldowns.quota == .seconds(7200) && a.cooldowns.throttled == .seconds(30))
        #expect(a.cooldowns.longest == .seconds(7200) && a.cooldowns.limit == .seconds(7 * 86_400))
        let b = try #require(configuration.pools.settings[try PoolName("b")])
        #expect(b.strategy == .roundRobin && b.maxConcurrent == nil)
        #expect(b.cooldowns.longest == .seconds(30 * 86_400) && b.cooldowns.limit == .seconds(30 * 86_400))
    }

    @Test(arguments: [
        ("tiers: [shared, personal]", "tier: shared", ":8", "unknown key; did you mean tiers?"),
        ("tiers: [shared, personal]", "tiers: []", ":8", "needs at least one tier"),
        ("tiers: [shared, personal]", "tiers: [a, a]", ":8", "names a twice"),
        ("tiers: [shared, personal]", "tiers: [\"a b\"]", ":8", "tier name"),
        (
            "tiers: [shared, personal]", "strategy: random", ":8",
            "one of round_robin, least_recently_used, fill_first, weighted, sticky"
        ),
        ("tiers: [shared, personal]", "strategy: stikcy", ":8", "stikcy"),
        ("tiers: [shared, personal]", "max_concurrent: 0", ":8", "max_concurrent"),
        ("tiers: [shared, personal]", "lease_ttl: 2d", ":8", "lease_ttl"),
        ("tiers: [shared, personal]", "acquisition_wait: 1h", ":8", "acquisition_wait"),
        ("tiers: [shared, personal]", "cooldown: { quota: 0s }", ":8", "quota"),
        ("tiers: [shared, personal]", "cooldown: { qouta: 5m }", ":8", "did you mean quota?"),
        ("tiers: [shared, personal]", "cooldown: { quota: 2h, longest: 1h }", ":8", "cannot be shorter than quota"),
        ("tiers: [shared, personal]", "cooldown: { longest: 2d, limit: 1d }", ":8", "cannot be shorter than longest"),
        ("plain: {", "\"a b\": {", ":8", "pool name"),
        ("provider: warp", "providers: warp", ":11", "did you mean provider?"),
        ("https://app.example/x", "ftp://app.example/x", ":14", "has to begin with https://"),
        ("https://app.example/x", "https://{{ vars.key }}/x", ":14", "write the host out"),
        ("vars.key }}\", fixed", "vars.kez }}\", fixed", ":14", "did you mean vars.key?"),
        ("steps.create.token", "steps.creat.token", ":16", "did you mean steps.create.token?"),
        ("json: {", "method: GET, json: {", ":14", "GET has no body"),
        ("json: {", "form: { a: b }, json: {", ":14", "give one body"),
    ])
    func `what is wrong is named with its line, and what to write instead`(
        old: String, new: String, line: String, message: String
    ) {
        let yaml = Self.yaml.replacing(old, with: new)
        #expect(yaml != Self.yaml)
        let found = problems(yaml, Self.environment)
        #expect(found.contains { $0.contains(message) && $0.contains("yaml\(line)") }, "\(found)")
        #expect(!found.contains { $0.contains("k3y-of-the-environment") || $0.contains("a-fixed-secret") })
    }
}

/// The examples of docs/pools.md are accepted as they stand, but for the paths of their secrets.
struct DocumentedPoolsTests {
    @Test func `they are accepted`() throws {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/pools.md")
        let text = String(decoding: try Data(contentsOf: page), as: UTF8.self)
        let file = "/tmp/perennial-pools-\(UUID().uuidString)"
        try Data("static".utf8).write(to: URL(filePath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let examples = text.split(separator: "```yaml\n").dropFirst().compactMap {
            $0.split(separator: "\n```").first.map { String($0) }
        }
        #expect(examples.count == 3)
        for example in examples {
            let yaml = example.replacing("/run/secrets/warp-static", with: file)
            #expect(problems(yaml, ["HOME": "/home/p", "WARP_KEY": "k"]) == [])
        }
    }
}
