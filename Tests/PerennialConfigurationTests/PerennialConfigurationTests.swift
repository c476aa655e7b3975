import ConfigurationFile
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

/// The issues that reading gives, one a line; empty where there are none.
func problems(
    _ yaml: String, _ environment: [String: String] = ["HOME": "/home/p"],
    _ overrides: ConfigurationOverrides = ConfigurationOverrides()
) -> [String] {
    do {
        _ = try PerennialConfiguration.parse(yaml, environment: environment, overrides: overrides)
        return []
    } catch {
        return error.issues.map(\.description)
    }
}

let exampleYAML = """
    # perennial.yaml
    listen: 127.0.0.1:8700
    redis: { url: "redis://127.0.0.1:6379" }     # REDIS_URL wins
    sealing: { key_file: /etc/perennial/sealing.key }
    auth: { keys_file: /etc/perennial/keys.json }
    providers:
      acme:
        preset: oauth2
        token_url: https://id.example.com/oauth2/token
        client_id: backend
        client_secret: ${ACME_SECRET}             # or client_secret_file
        client_auth: basic                        # basic | post | none
        rotation: single_use                      # single_use | reusable | { grace: 30s }
        skew: 60s
        window: 5m
    """

struct PerennialConfigurationTests {
    @Test func `the example reads as it says`() throws {
        let configuration = try PerennialConfiguration.parse(
            exampleYAML, environment: ["HOME": "/home/p", "ACME_SECRET": "s3cret"])
        #expect(configuration.listen == [.tcp(host: "127.0.0.1", port: 8700)])
        #expect(configuration.redis.url == Secret("redis://127.0.0.1:6379"))
        #expect(configuration.sealing == .file("/etc/perennial/sealing.key"))
        #expect(configuration.authKeysFile == "/etc/perennial/keys.json")
        let acme = try #require(configuration.providers[ProviderName("acme")])
        #expect(acme.tokenURL == "https://id.example.com/oauth2/token")
        #expect(acme.clientID == "backend")
        #expect(acme.clientSecret == Secret("s3cret"))
        #expect(acme.clientAuth == .basic)
        #expect(acme.rotation == .singleUse)
        #expect(acme.skew == .seconds(60))
        #expect(acme.window == .seconds(300))
        #expect(configuration.providers.policy(for: acme.name) == acme.refreshPolicy)
    }

    @Test func `nothing given means the defaults`() throws {
        let configuration = try PerennialConfiguration.parse("", environment: ["HOME": "/home/p"])
        #expect(configuration == PerennialConfiguration(stateDirectory: "/home/p/.local/state/perennial"))
        #expect(configuration.redis.isEmbedded)
        #expect(configuration.refresh.proactive)
        #expect(configuration.refresh.interval == .seconds(900))
        #expect(configuration.refresh.window == .seconds(300))
        try configuration.validateForServing(hasKeys: false)
        #expect(try PerennialConfiguration.load(file: nil, environment: ["HOME": "/home/p"]) == configuration)
    }

    @Test func `every key is read`() throws {
        let yaml = """
            listen: ["127.0.0.1:1", "[::1]:2", unix:/run/p.sock]
            state_dir: /var/lib/perennial
            redis:
              url: rediss://h:6380/2
              username: u
              password: p
              ca_file: /ca
              certificate_file: /c
              key_file: /k
              server_name: n
              prefix: pre
              command_timeout: 1s
            sealing: { key_file: /s }
            auth: { keys_file: /a }
            refresh: { proactive: false, interval: 1m, window: 2m, max_concurrent: 7, fallback_reread: 1s }
            lease: { ttl: 9s }
            log: { level: debug, format: json }
            providers: { a: { token_url: "https://h/", client_id: c } }
            """
        let configuration = try PerennialConfiguration.parse(yaml)
        #expect(configuration.listen.map(\.description) == ["127.0.0.1:1", "[::1]:2", "unix:/run/p.sock"])
        #expect(configuration.stateDirectory == "/var/lib/perennial")
        #expect(configuration.redis.username == "u")
        #expect(configuration.redis.password == Secret("p"))
        #expect(configuration.redis.caFile == "/ca")
        #expect(configuration.redis.certificateFile == "/c")
        #expect(configuration.redis.keyFile == "/k")
        #expect(configuration.redis.serverName == "n")
        #expect(configuration.redis.prefix == "pre")
        #expect(configuration.redis.commandTimeout == .seconds(1))
        #expect(configuration.refresh.proactive == false)
        #expect(configuration.refresh.interval == .seconds(60))
        #expect(configuration.refresh.window == .seconds(120))
        #expect(configuration.refresh.maxConcurrent == 7)
        #expect(configuration.refresh.fallbackReread == .seconds(1))
        #expect(configuration.leaseTTL == .seconds(9))
        #expect(configuration.logLevel == .debug)
        #expect(configuration.logFormat == .json)
        // A provider without a window of its own has the one of the section refresh.
        #expect(configuration.providers.definitions.map(\.window) == [.seconds(120)])
    }

    @Test(arguments: [
        "redis://h", "rediss://u:p@h:1/2", "unix:///run/redis.sock", "redis+sentinel://u:p@h1:1,h2,h3/main/1",
        "rediss+sentinel://h1/main", "redis+cluster://h1,h2:7000", "rediss+cluster://:p@h1",
    ])
    func everyKindOfRedisURLIsTaken(url: String) throws {
        let fromFile = try PerennialConfiguration.parse("redis: { url: '\(url)' }", environment: ["HOME": "/h"])
        #expect(fromFile.redis.url == Secret(url))
        let fromVariable = try PerennialConfiguration.parse("", environment: ["HOME": "/h", "REDIS_URL": url])
        #expect(fromVariable.redis.url == Secret(url))
    }

    @Test(arguments: [
        ("listne: a", "perennial.yaml:1:1: listne: unknown key; did you mean listen?"),
        ("listen: nowhere", "perennial.yaml:1:9: listen: \"nowhere\" has no port"),
        ("listen: []", "perennial.yaml:1:9: listen: needs at least one address"),
        ("listen: [\"[::1]:1\", \"[::1]:1\"]", "perennial.yaml:1:9: listen: names [::1]:1 twice"),
        ("redis: { uri: x }", "perennial.yaml:1:10: redis.uri: unknown key; did you mean url?"),
        (
            "redis: { url: \"http://hunter@h\" }",
            "perennial.yaml:1:15: redis.url: The Redis URL is malformed: it must start with"
        ),
        (
            "redis: { url: \"redis://\" }",
            "perennial.yaml:1:15: redis.url: The Redis URL is malformed: the host is missing"
        ),
        (
            "redis: { url: \"redis+sentinel://h1,h2\" }",
            "perennial.yaml:1:15: redis.url: The Redis URL is malformed: the master's name follows the Sentinels"
        ),
        ("redis: { url: \"redis://a b\" }", "perennial.yaml:1:15: redis.url: holds a blank"),
        ("redis: { password: p }", "perennial.yaml:1:20: redis.password: is of no use without url"),
        ("redis: { prefix: \"a{b}\" }", "perennial.yaml:1:18: redis.prefix: has to be 1 to 64 characters"),
        (
            "redis:\n  url: redis://h\n  key_file: /k",
            "perennial.yaml:3:13: redis.key_file: needs certificate_file as well"
        ),
        (
            "redis:\n  url: redis://h\n  password: a\n  password_file: /b",
            "perennial.yaml:4:18: redis.password_file: give either password or password_file"
        ),
        (
            "redis:\n  url: redis://h\n  password_file: /nonexistent",
            "perennial.yaml:3:18: redis.password_file: cannot read"
        ),
        (
            "redis: { url: 'redis://h', durability: 2 }",
            "perennial.yaml:1:40: redis.durability: \"2\" is not none, replicas:N"
        ),
        ("redis: { durability: aof }", "perennial.yaml:1:22: redis.durability: is of no use without url"),
        (
            "redis: { url: 'redis://h', durability: 'replicas:1', durability_timeout: 3s }\n"
                + "providers: { acme: { preset: oauth2, token_url: 'https://a.example/t', client_id: c } }",
            "perennial.yaml:1:74: redis.durability_timeout: waits 3s for Redis, which has to be shorter than providers.acme.send_by (2s)"
        ),
        ("redis: { command_timeout: 0s }", "perennial.yaml:1:27: redis.command_timeout: has to be between"),
        ("sealing: { key: x }", "perennial.yaml:1:12: sealing.key: unknown key"),
        (
            "refresh:\n  interval: 15",
            "perennial.yaml:2:13: refresh.interval: \"15\" is not a duration: write for example"
        ),
        ("refresh: { max_concurrent: 0 }", "perennial.yaml:1:28: refresh.max_concurrent: \"0\" is not a whole number"),
        ("lease: { ttl: 1ms }", "perennial.yaml:1:15: lease.ttl: has to be between"),
        ("log: { level: loud }", "perennial.yaml:1:15: log.level: \"loud\" is not one of trace, debug, info"),
        ("log: { format: xml }", "perennial.yaml:1:16: log.format: \"xml\" is not one of text, json"),
        ("providers: [a]", "perennial.yaml:1:12: providers: has to be a mapping"),
        ("providers:\n  \"a b\": { client_id: x }", "perennial.yaml:2:3: providers.a b: bad provider name"),
        (
            "providers:\n  acme:\n    token_url: https://h/\n    client_id: c\n    skew: 6x",
            "perennial.yaml:5:11: providers.acme.skew: \"6x\" is not a duration: write for example 60s or 5m"
        ),
    ])
    func `mistakes in the file name key and line`(yaml: String, expected: String) {
        let found = problems(yaml)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
        #expect(!found.joined().contains("hunter"), "\(found)")
    }
}
