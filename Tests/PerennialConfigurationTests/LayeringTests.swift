import ConfigurationFile
import FoundationEssentials
import PerennialConfiguration
import Providers
import RefreshCore
import Testing

struct LayeringTests {
    private static let file = """
        listen: 127.0.0.1:1
        state_dir: /file
        redis: { url: "redis://file", password: file }
        sealing: { key_file: /file }
        auth: { keys_file: /file }
        refresh: { proactive: true, interval: 1m, window: 1m }
        log: { level: error, format: text }
        """
    private static let environment = [
        "REDIS_URL": "redis://env", "ENABLE_PROACTIVE_TOKEN_REFRESH": "no", "TOKEN_REFRESH_INTERVAL": "2",
        "TOKEN_REFRESH_WINDOW": "3", "PERENNIAL_LISTEN": "127.0.0.1:2, unix:/env", "PERENNIAL_STATE_DIR": "/env",
        "PERENNIAL_REDIS_PASSWORD": "env", "PERENNIAL_SEALING_KEY": "ZW52", "PERENNIAL_AUTH_KEYS_FILE": "/env",
        "PERENNIAL_LOG_LEVEL": "debug", "PERENNIAL_LOG_FORMAT": "JSON",
    ]

    @Test func `the environment wins over the file`() throws {
        let read = try PerennialConfiguration.parse(Self.file, environment: Self.environment)
        #expect(read.listen.map(\.description) == ["127.0.0.1:2", "unix:/env"])
        #expect(read.stateDirectory == "/env")
        #expect(read.redis.url == Secret("redis://env"))
        #expect(read.redis.password == Secret("env"))
        #expect(read.sealing == .key(Secret("ZW52")))
        #expect(read.authKeysFile == "/env")
        #expect(read.refresh.proactive == false)
        #expect(read.refresh.interval == .seconds(120))
        #expect(read.refresh.window == .seconds(180))
        #expect(read.logLevel == .debug)
        #expect(read.logFormat == .json)
    }

    @Test func `options win over both`() throws {
        let overrides = ConfigurationOverrides(
            listen: ["[::1]:3"], stateDirectory: "/flag", logLevel: .trace, logFormat: .text, proactive: true)
        let read = try PerennialConfiguration.parse(Self.file, environment: Self.environment, overrides: overrides)
        #expect(read.listen.map(\.description) == ["[::1]:3"])
        #expect(read.stateDirectory == "/flag")
        #expect(read.logLevel == .trace)
        #expect(read.logFormat == .text)
        #expect(read.refresh.proactive)
    }

    @Test func `an empty variable counts as unset`() throws {
        let empty = Self.environment.mapValues { _ in "" }
        #expect(
            try PerennialConfiguration.parse(Self.file, environment: empty)
                == PerennialConfiguration.parse(Self.file, environment: [:]))
    }

    @Test(arguments: [
        (
            ["ENABLE_PROACTIVE_TOKEN_REFRESH": "maybe"],
            "environment variable ENABLE_PROACTIVE_TOKEN_REFRESH: \"maybe\" is not true or false"
        ),
        (
            ["TOKEN_REFRESH_INTERVAL": "15m"],
            "environment variable TOKEN_REFRESH_INTERVAL: \"15m\" is not a whole number of minutes from 1 to 1440"
        ),
        (["TOKEN_REFRESH_INTERVAL": "0"], "environment variable TOKEN_REFRESH_INTERVAL: \"0\""),
        (["TOKEN_REFRESH_WINDOW": "-5"], "environment variable TOKEN_REFRESH_WINDOW: \"-5\""),
        (["TOKEN_REFRESH_WINDOW": "99999999999999999999"], "environment variable TOKEN_REFRESH_WINDOW:"),
        (
            ["REDIS_URL": "localhost:6379"],
            "environment variable REDIS_URL: The Redis URL is malformed: it must start with redis://"
        ),
        (["PERENNIAL_LISTEN": "8700"], "environment variable PERENNIAL_LISTEN: \"8700\" has no port"),
        (["PERENNIAL_LISTEN": ","], "environment variable PERENNIAL_LISTEN: needs at least one address"),
        (["PERENNIAL_LOG_LEVEL": "loud"], "environment variable PERENNIAL_LOG_LEVEL: \"loud\" is not one of trace"),
        (
            ["PERENNIAL_LOG_FORMAT": "xml"],
            "environment variable PERENNIAL_LOG_FORMAT: \"xml\" is not one of text, json"
        ),
        (
            ["PERENNIAL_REDIS_PASSWORD": "a", "PERENNIAL_REDIS_PASSWORD_FILE": "/b"],
            "environment variable PERENNIAL_REDIS_PASSWORD_FILE: PERENNIAL_REDIS_PASSWORD is set as well"
        ),
        (
            ["PERENNIAL_REDIS_PASSWORD_FILE": "/nonexistent"],
            "environment variable PERENNIAL_REDIS_PASSWORD_FILE: cannot read /nonexistent: No such file"
        ),
        (
            ["PERENNIAL_SEALING_KEY": "a", "PERENNIAL_SEALING_KEY_FILE": "/b"],
            "environment variable PERENNIAL_SEALING_KEY_FILE: PERENNIAL_SEALING_KEY is set as well"
        ),
        (
            ["PERENNIAL_PROACTIVE": "1", "ENABLE_PROACTIVE_TOKEN_REFRESH": "0"],
            "environment variable PERENNIAL_PROACTIVE: says the opposite"
        ),
    ])
    func `malformed variables are named`(environment: [String: String], expected: String) {
        let found = problems("state_dir: /s", environment)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `malformed options are named`() {
        let found = problems("", ["HOME": "/h"], ConfigurationOverrides(listen: ["nowhere"]))
        #expect(found.first?.hasPrefix("option --listen: \"nowhere\" has no port") == true, "\(found)")
    }

    @Test(arguments: [
        (["XDG_STATE_HOME": "/x", "HOME": "/h"], "/x/perennial"),
        (["XDG_STATE_HOME": "relative", "HOME": "/h"], "/h/.local/state/perennial"),
        (["HOME": "/h"], "/h/.local/state/perennial"),
    ])
    func `the state directory follows XDG`(environment: [String: String], expected: String) throws {
        #expect(try PerennialConfiguration.parse("", environment: environment).stateDirectory == expected)
    }

    @Test func `without a home the state directory has to be given`() {
        #expect(problems("", [:]).first?.contains("state_dir: is needed where neither HOME") == true)
        #expect(problems("", ["PERENNIAL_STATE_DIR": "/s"]) == [])
    }

    @Test func `secrets are read from files without their line end`() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "perennial-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "secret").path
        try Data("hunter2\n".utf8).write(to: URL(filePath: file))
        let read = try PerennialConfiguration.parse(
            """
            redis: { url: "redis://h", password_file: \(file) }
            providers:
              a: { token_url: "https://h/", client_id: c, client_secret_file: \(file) }
            """, environment: ["HOME": "/h"])
        #expect(read.redis.password == Secret("hunter2"))
        #expect(read.providers.definitions.first?.clientSecret == Secret("hunter2"))
        #expect(read.providers.definitions.first?.clientAuth == .basic)
        let fromEnvironment = try PerennialConfiguration.parse(
            "redis: { url: \"redis://h\", password_file: /nonexistent }",
            environment: ["HOME": "/h", "PERENNIAL_REDIS_PASSWORD_FILE": file])
        #expect(fromEnvironment.redis.password == Secret("hunter2"))

        try Data().write(to: URL(filePath: file))
        let found = problems(
            "providers:\n  a: { token_url: \"https://h/\", client_id: c, client_secret_file: \(file) }")
        #expect(found == ["perennial.yaml:2:67: providers.a.client_secret_file: \(file) is empty"])
    }
}
