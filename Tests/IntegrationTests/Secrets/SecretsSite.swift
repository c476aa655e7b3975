import CurlClient
import PerennialServers
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Two instances at log level trace, one in text and one in JSON, whose secrets are all known, and what they go through.
struct SecretsSite: Sendable {
    let secrets: [PlantedSecret]
    let configuration: String
    private let workshop: Workshop
    private let redis: RedisServer
    private let mock: MockProcess
    private let instances: [PerennialInstance]
    /// Documents that were answered, but those that are there to hold a token.
    private let answers = Answers()

    private actor Answers {
        private(set) var all: [(String, [UInt8])] = []
        func add(_ place: String, _ bytes: [UInt8]) { all.append((place, bytes)) }
    }

    private static let redisPassword = "planted+redis/password-7Qx2"
    private static let clientSecret = "planted client&secret=Zk81"
    private static let broken = "planted-refresh-token-in-broken-json-5Hc"

    init(_ workshop: Workshop) async throws {
        self.workshop = workshop
        redis = try await RedisServer.start(
            .init(.tcp, password: Self.redisPassword, directives: ["appendonly yes", "rdbcompression no"]))
        mock = try await MockProcess.start(workshop, latency: "20ms", options: ["--lifetime", "6s"])
        let sealingKey = SealingKey.generate().revealBase64()
        let sealingFile = workshop.path("sealing.key")
        try TextFile.write(sealingKey + "\n", to: sealingFile)
        let yaml = """
            redis: { url: "redis://127.0.0.1:\(redis.port ?? 0)", password: "\(Self.redisPassword)", command_timeout: 1s }
            sealing: { key_file: "\(sealingFile)" }
            lease: { ttl: 2s }
            providers:
              mock:
                preset: oauth2
                token_url: "\(mock.tokenURL)"
                client_id: test
                client_secret: "\(Self.clientSecret)"
                rotation: single_use
                send_by: 500ms
                connect_timeout: 500ms
                exchange_deadline: 2s
                lock_ttl: 4s
                backoff: { base: 200ms, cap: 1s }

            """
        configuration = workshop.path("perennial.yaml")
        try TextFile.write(yaml, to: configuration)
        secrets = [
            PlantedSecret("the client secret", Self.clientSecret),
            PlantedSecret("the password of Redis", Self.redisPassword),
            PlantedSecret("the sealing key", sealingKey), PlantedSecret("a token in a broken body", Self.broken),
            PlantedSecret("a refresh token", prefix: "mrt_"),
            PlantedSecret("an access token", prefix: "mat_"),
        ]
        var instances: [PerennialInstance] = []
        for number in 1...2 {
            let own = workshop.path("perennial-\(number).yaml")
            try TextFile.write(yaml + "log: { level: trace, format: \(number == 1 ? "text" : "json") }\n", to: own)
            instances.append(try await PerennialInstance.start(workshop, configuration: own, number: number))
        }
        self.instances = instances
    }

    // MARK: A life

    /// All is well, then all kinds of things go wrong, and somebody looks at each.
    func live() async throws {
        let lines = try await mock.seed(6, prefix: "account-", areExpired: true)
        try await PerennialInstance.importAccounts(workshop, configuration: configuration, lines: lines)
        for fault in [
            [], ["error-after:502@x1"], ["truncated@x1"], ["unparseable@x1"], ["throttle:1s@x1"], ["invalid-client@x2"],
            ["drop-after@x1"], ["invalid-grant@x1,account=account-5"],
        ] {
            try await mock.setFaults(fault)
            for number in 0..<6 {
                let origin = instances[number % 2].origin
                _ = try? await get("\(origin)/v1/accounts/account-\(number)/token", keepsErrorsOnly: true)
                _ = try? await send("POST", "\(origin)/v1/accounts/account-\(number)/refresh", "{}")
            }
        }
        try await mock.setFaults([])
        try await callBadly()
        try await loseRedis()
        for path in ["/v1/accounts", "/v1/accounts/account-1", "/v1/instances", "/readyz"] {
            _ = try await get(instances[0].origin + path, keepsErrorsOnly: false)
        }
        try await look()
        for instance in instances { await instance.process.stop() }
    }

    private func callBadly() async throws {
        let origin = instances[0].origin
        _ = try await send("PUT", "\(origin)/v1/accounts/x", #"{"provider":"mock","refresh_token":"\#(Self.broken)""#)
        _ = try await send("PUT", "\(origin)/v1/accounts/x", #"{"provider":"mock","refresh_tokens":"\#(Self.broken)"}"#)
        _ = try await send(
            "PUT", "\(origin)/v1/accounts/x", #"{"provider":"mock","refresh_token":"\#(Self.broken)\n"}"#)
    }

    /// Answers go into the journals, and come back out of them.
    private func loseRedis() async throws {
        await redis.pause()
        for number in 0..<4 {
            _ = try? await send("POST", "\(instances[number % 2].origin)/v1/accounts/account-\(number)/refresh", "{}")
        }
        await redis.resume()
        for number in 0..<4 {
            _ = try? await get(
                "\(instances[number % 2].origin)/v1/accounts/account-\(number)/token", keepsErrorsOnly: true)
        }
    }

    /// The commands with which an operator looks at things.
    private func look() async throws {
        let commands = [
            ["config", "check"], ["status"], ["status", "--json"], ["accounts", "list"],
            ["accounts", "list", "--json"],
            ["accounts", "show", "account-5"], ["accounts", "show", "account-1", "--json"],
            ["journal", "list", "--all"], ["journal", "list", "--all", "--json"], ["providers", "show", "mock"],
            ["refresh", "account-5"],
        ]
        for (number, words) in commands.enumerated() {
            let process = try await workshop.start(
                "look-\(number)", workshop.perennial,
                words + ["--config", configuration, "--state-dir", workshop.path("state-1")])
            try await process.waitUntilEnded(timeout: .seconds(30))
        }
    }

    private func get(_ url: String, keepsErrorsOnly: Bool) async throws {
        let answer = try await workshop.http.execute(CurlRequest(url: url, totalTimeout: .seconds(8)))
        if answer.status >= 400 || !keepsErrorsOnly { await answers.add("answer \(answer.status)", answer.body) }
    }

    private func send(_ method: String, _ url: String, _ body: String) async throws {
        let answer = try await workshop.http.execute(
            CurlRequest(
                method: method, url: url, headers: [("Content-Type", "application/json")], body: Array(body.utf8),
                totalTimeout: .seconds(8)))
        // A refresh answers with the new token.
        if answer.status >= 400 { await answers.add("answer \(answer.status)", answer.body) }
    }

    // MARK: Where to look

    /// Every place and what is there.
    func places() async throws -> [(String, [UInt8])] {
        var places = await answers.all
        let given = ["perennial.yaml", "perennial-1.yaml", "perennial-2.yaml", "sealing.key", "accounts.jsonl"]
        for path in try files(workshop.directory) where !given.contains(path) {
            let bytes = try Data(contentsOf: URL(filePath: workshop.path(path)))
            places.append((path, Array(bytes)))
        }
        _ = try await redis.ask("save")
        for path in try files(redis.directory) where !path.hasSuffix(".conf") {
            let bytes = try Data(contentsOf: URL(filePath: "\(redis.directory)/\(path)"))
            places.append(("redis: \(path)", Array(bytes)))
        }
        return places
    }

    /// Below a folder, its own path left out.
    private func files(_ folder: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(path)")
            return attributes?[.type] as? FileAttributeType == .typeRegular
        }
    }
}
