import ConfigurationFile
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

struct ServingTests {
    private func refusals(_ configuration: PerennialConfiguration, hasKeys: Bool) -> [String] {
        do {
            try configuration.validateForServing(hasKeys: hasKeys)
            return []
        } catch {
            #expect(error.issues.allSatisfy { $0.code == .unsafeToServe })
            return error.issues.map(\.description)
        }
    }

    @Test(arguments: [
        ("127.0.0.1:1", false, false, 0), ("[::1]:1", false, false, 0), ("unix:/s", false, false, 0),
        ("0.0.0.0:1", false, false, 1), ("0.0.0.0:1", true, false, 1), ("0.0.0.0:1", true, true, 0),
        ("[::]:1", false, false, 1), ("host.example:1", false, true, 1),
    ])
    func `the network needs callers' keys`(address: String, hasFile: Bool, hasKeys: Bool, count: Int) throws {
        var configuration = PerennialConfiguration(stateDirectory: "/s")
        configuration.listen = [.unix(path: "/x"), try ListenAddress(address)]
        configuration.authKeysFile = hasFile ? "/keys" : nil
        let found = refusals(configuration, hasKeys: hasKeys)
        #expect(found.count == count, "\(found)")
        #expect(found.allSatisfy { $0.contains(address) && $0.contains("keys_file") })
    }

    @Test func `external Redis needs a sealing key`() {
        var configuration = PerennialConfiguration(stateDirectory: "/s")
        configuration.redis.url = Secret("redis://:hunter2@h")
        let found = refusals(configuration, hasKeys: true)
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("sealing.key_file: is missing") == true, "\(found)")
        configuration.sealing = .key(Secret("k"))
        #expect(refusals(configuration, hasKeys: true) == [])
    }

    @Test func `the description shows no secret`() throws {
        let secrets = ["hunter-a", "hunter-c", "hunter-d", "hunter-e", "hunter-f", "hunter-g"]
        let yaml = """
            redis: { url: "redis://user:hunter-a@h:1/2", password: hunter-c }
            providers:
              acme:
                token_url: https://h/token?key=hunter-d
                client_id: backend
                client_secret: hunter-e
                params: { api_key: hunter-f }
                headers: { X-Key: hunter-g }
                rotation: { grace: 30s }
            """
        let configuration = try PerennialConfiguration.parse(
            yaml, environment: ["HOME": "/h", "PERENNIAL_SEALING_KEY": "hunter-h"])
        var shown = configuration.describe()
        dump(configuration, to: &shown)
        print(configuration.redis, configuration.providers.definitions, to: &shown)
        for secret in secrets + ["hunter-h"] { #expect(!configuration.describe().contains(secret)) }
        // The token URL is no secret as such; everything else must not even be dumped.
        for secret in secrets + ["hunter-h"] where secret != "hunter-d" {
            #expect(!shown.contains(secret), "\(secret)")
        }
        let lines = Set(configuration.describe().split(separator: "\n").map(String.init))
        for line in [
            "listen: 127.0.0.1:8700", "redis.url: redis://user:***@h:1/2", "redis.password: set", "sealing.key: set",
            "auth.keys_file: not set", "providers.acme.token_url: https://h/token?key=***",
            "providers.acme.client_secret: set", "providers.acme.rotation: { grace: 30s }",
            "providers.acme.params: api_key", "providers.acme.headers: X-Key", "providers.acme.lock_ttl: 30s",
            "refresh.interval: 15m",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test(arguments: [
        ("redis://h:1", "redis://h:1"), ("redis://:hunter@h", "redis://:***@h"),
        ("redis://u:p@w:hunter@h/0", "redis://u:***@h/0"),
        ("redis://hunter@h", "redis://***@h"), ("redis://:hun?ter@h", "redis://:***@h"),
        ("unix:///run/r.sock?password=hunter", "unix:///run/r.sock"),
    ])
    func `URLs are shown without their passwords`(url: String, expected: String) {
        var configuration = PerennialConfiguration(stateDirectory: "/s")
        configuration.redis.url = Secret(url)
        #expect(configuration.settings.first { $0.key == "redis.url" }?.value == expected)
    }
}
