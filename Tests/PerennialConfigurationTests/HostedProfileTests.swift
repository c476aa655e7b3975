import PerennialConfiguration
import RefreshCore
import Testing

struct HostedProfileTests {
    private func parse(_ yaml: String, _ environment: [String: String] = [:]) throws -> PerennialConfiguration {
        try PerennialConfiguration.parse(yaml, environment: ["HOME": "/home/p"].merging(environment) { $1 })
    }

    @Test func `the standard profile is the default, and asks for no budget`() throws {
        let configuration = try parse("redis: { url: \"redis://127.0.0.1:6379\" }")
        #expect(configuration.redis.profile == .standard)
        #expect(configuration.redis.commandBudget == nil)
        #expect(configuration.redis.pingInterval == .seconds(30))
        #expect(configuration.redis.heartbeatInterval == .seconds(10))
        #expect(configuration.leaseTTL == .seconds(5))
    }

    @Test func `hosted makes everything rare that is not needed`() throws {
        let configuration = try parse("redis: { profile: hosted }", ["REDIS_URL": "rediss://h.example.com:6379"])
        #expect(configuration.redis.profile == .hosted)
        #expect(configuration.redis.commandBudget == 16_000)
        #expect(configuration.redis.pingInterval == .seconds(7200))
        #expect(configuration.redis.heartbeatInterval == .seconds(7200))
        #expect(configuration.leaseTTL == .seconds(1800))
        #expect(configuration.refresh.fallbackReread == .seconds(1))
        #expect(configuration.refresh.interval == .seconds(3600))
        let lines = Set(configuration.describe().split(separator: "\n").map(String.init))
        #expect(
            lines.isSuperset(of: [
                "redis.profile: hosted", "redis.command_budget: 16000", "redis.ping_interval: 2h",
                "redis.heartbeat_interval: 2h", "lease.ttl: 30m", "refresh.interval: 1h",
            ]))
    }

    @Test func `what is set wins over the profile`() throws {
        let configuration = try parse(
            """
            redis:
              url: "redis://127.0.0.1:6379"
              profile: hosted
              command_budget: 100000
              ping_interval: 90s
              heartbeat_interval: 5m
            refresh: { fallback_reread: 2s, interval: 15m }
            lease: { ttl: 5s }
            """)
        #expect(configuration.redis.commandBudget == 100_000)
        #expect(configuration.redis.pingInterval == .seconds(90))
        #expect(configuration.redis.heartbeatInterval == .seconds(300))
        #expect(configuration.leaseTTL == .seconds(5))
        #expect(configuration.refresh.fallbackReread == .seconds(2))
        #expect(configuration.refresh.interval == .seconds(900))
        let variable = try parse(
            "redis: { profile: hosted }",
            ["REDIS_URL": "redis://127.0.0.1", "TOKEN_REFRESH_INTERVAL": "15"])
        #expect(variable.refresh.interval == .seconds(900))
    }

    @Test func `what makes no sense is said`() {
        let url = "url: \"redis://127.0.0.1\""
        for (yaml, expected) in [
            ("redis: { profile: hosted }", "redis.profile: hosted needs a url"),
            ("redis: { \(url), profile: cheap }", "redis.profile: "),
            ("redis: { \(url), command_budget: 0 }", "redis.command_budget: "),
            ("redis: { \(url), command_budget: 1.5 }", "redis.command_budget: "),
            ("redis: { command_budget: 5 }", "redis.command_budget: is of no use without url"),
            ("redis: { \(url), ping_interval: 10ms }", "redis.ping_interval: has to be between"),
            ("redis: { \(url), heartbeat_interval: 3d }", "redis.heartbeat_interval: has to be between"),
        ] {
            let found = problems(yaml)
            #expect(found.count == 1 && found[0].contains(expected), "\(yaml): \(found)")
        }
    }
}
