import Testing

@testable import RedisClient

@Suite struct RedisURLTests {
    struct Case: Sendable {
        let url: String
        let endpoint: RedisEndpoint
        var user: String?
        var password: String?
        var database = 0
        var tls = false
    }

    @Test(arguments: [
        Case(url: "redis://localhost", endpoint: .tcp(host: "localhost", port: 6379)),
        Case(url: "REDIS://h:1", endpoint: .tcp(host: "h", port: 1)),
        Case(url: "redis://h/", endpoint: .tcp(host: "h", port: 6379)),
        Case(url: "redis://h:65535/15", endpoint: .tcp(host: "h", port: 65535), database: 15),
        Case(url: "redis://h?db=3", endpoint: .tcp(host: "h", port: 6379), database: 3),
        Case(url: "redis://[::1]:7000/2", endpoint: .tcp(host: "::1", port: 7000), database: 2),
        Case(url: "redis://[fe80::1]", endpoint: .tcp(host: "fe80::1", port: 6379)),
        Case(url: "redis://:pw@h", endpoint: .tcp(host: "h", port: 6379), password: "pw"),
        Case(
            url: "redis://u:p%40%3A%2F%25%C3%A4@h", endpoint: .tcp(host: "h", port: 6379), user: "u", password: "p@:/%ä"
        ),
        Case(url: "redis://u:a@b@h", endpoint: .tcp(host: "h", port: 6379), user: "u", password: "a@b"),
        Case(url: "rediss://u:p@h:1", endpoint: .tcp(host: "h", port: 1), user: "u", password: "p", tls: true),
        Case(url: "unix:///run/redis.sock", endpoint: .unixSocket(path: "/run/redis.sock")),
        Case(url: "unix:///a%20b?db=4", endpoint: .unixSocket(path: "/a b"), database: 4),
        Case(
            url: "unix://u:p@/r.sock?db=1", endpoint: .unixSocket(path: "/r.sock"), user: "u", password: "p",
            database: 1),
    ]) func parses(expected: Case) throws {
        let configuration = try RedisConfiguration(url: expected.url)
        #expect(configuration.endpoint == expected.endpoint)
        #expect(configuration.username == expected.user)
        #expect(configuration.password == expected.password)
        #expect(configuration.database == expected.database)
        #expect((configuration.tls != nil) == expected.tls)
    }

    @Test(arguments: [
        "", "localhost:6379", "http://h", "redis://", "redis://:6379", "redis://h:0", "redis://h:65536", "redis://h:x",
        "redis://h:", "redis://h:+1", "redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h/1?db=2",
        "redis://h?dbx=1",
        "redis://h?db=", "redis://h?db=1&db=2", "redis://::1", "redis://[::1", "redis://[::1]x", "redis://h#1",
        "redis://secret@h", "redis://u:secret%@h", "redis://u:secret%4@h", "redis://u:secret%zz@h", "redis://u:%ff@h",
        "redis://a b", "unix://", "unix:///", "unix://relative/path", "unix://h:1/path", "redis://u:secret@:1",
        "unix:///" + String(repeating: "x", count: 200), "redis://h/99999999999999999999",
    ]) func refuses(url: String) {
        let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
        #expect(error?.code == .configuration)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func passwordsAreNeverShown() throws {
        var configuration = try RedisConfiguration(url: "rediss://someone:hunter2@h:1/3")
        configuration.clientName = "x"
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
            #expect(!text.contains("someone"))
        }
        #expect("\(configuration)" == "Redis at h:1, database 3, TLS on, user set, password set")
    }

    @Test func backoffGrowsToItsCapWithFullJitter() {
        let backoff = ReconnectBackoff(base: .milliseconds(50), cap: .seconds(5))
        #expect(backoff.ceiling(attempt: 0) == .milliseconds(50))
        #expect(backoff.ceiling(attempt: 3) == .milliseconds(400))
        #expect(backoff.ceiling(attempt: 1000) == .seconds(5))
        #expect(backoff.delay(attempt: 3, fraction: 0) == .zero)
        #expect(backoff.delay(attempt: 3, fraction: 0.5) == .milliseconds(200))
        #expect(backoff.delay(attempt: 20, fraction: 1) == .seconds(5))
        #expect(backoff.delay(attempt: 20, fraction: 7) == .seconds(5))
    }

    @Test func scriptDigestIsSHA1() {
        #expect(RedisScript(name: "one", source: "return 1").sha1 == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
    }
}
