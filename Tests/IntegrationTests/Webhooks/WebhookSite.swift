import CurlClient
import PerennialServers
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Three instances, a Redis, a provider and a receiver of webhooks.
struct WebhookSite: Sendable {
    let workshop: Workshop
    let redis: RedisServer
    let mock: MockProcess
    let receiver: WebhookReceiver
    let instances: [CrashInstance]
    private let configuration: String

    /// - Parameters:
    ///   - timeout: of the endpoint `ops`.
    ///   - endpoint: further YAML lines of it.
    static func run(
        timeout: String = "15s", endpoint: [String] = [], _ body: @Sendable (WebhookSite) async throws -> Void
    ) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            let site = try await WebhookSite(workshop, endpoint: ["timeout: \(timeout)"] + endpoint)
            do {
                for instance in site.instances { try await instance.start() }
                for instance in site.instances { try await site.waitUntilReady(instance) }
                try await body(site)
            } catch {
                for instance in site.instances { await instance.kill() }
                throw error
            }
            for instance in site.instances { await instance.kill() }
        }
    }

    private init(_ workshop: Workshop, endpoint: [String]) async throws {
        self.workshop = workshop
        redis = try await workshop.startRedis(.tcp)
        mock = try await MockProcess.start(workshop, latency: "5ms", options: ["--lifetime", "3600s"])
        let ports = try FreePort.find(4)
        receiver = try WebhookReceiver(workshop, port: ports[3])
        let key = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
        let lines = endpoint.map { "    \($0)\n" }.joined()
        let yaml = """
            redis: { url: "\(redis.url)" }
            sealing: { key_file: "\(key)" }
            lease: { ttl: 2s }
            providers:
              mock:
                preset: oauth2
                token_url: "\(mock.tokenURL)"
                client_id: test
                client_auth: none
                rotation: single_use
            webhooks:
              ops:
                url: "http://127.0.0.1:\(ports[3])/planted-path"
                secret: \(WebhookReceiver.secret)
                backoff: { base: 100ms, cap: 1s }

            """
        configuration = workshop.path("perennial.yaml")
        try TextFile.write(yaml + lines, to: configuration)
        let (perennial, file) = (workshop.perennial, configuration)
        instances = (1...3).map { number in
            CrashInstance(
                number: number, port: ports[number - 1], directory: workshop.path("state-\(number)"),
                words: [perennial, "serve", "--config", file], logPath: workshop.path("instance-\(number).log"))
        }
    }

    func waitUntilReady(_ instance: CrashInstance) async throws {
        try await eventually("instance \(instance.number) is ready: \(instance.log.suffix(500))") {
            (try? await workshop.http.execute(CurlRequest(url: instance.origin + "/readyz")))?.status == 200
        }
    }

    /// Waits until an endpoint is known, so that all that happens from then on is for it.
    func waitUntilKnown(_ endpoint: String = "ops") async throws {
        try await eventually("the endpoint is known") {
            try await redis.ask("hexists", "perennial:{0}:webhooks", endpoint) == "1"
        }
    }

    // MARK: what happens

    func add(_ count: Int) async throws -> [String] {
        var ids: [String] = []
        for number in 1...count {
            let line = try await mock.seedOne("account-\(number)-", isExpired: false)
            let answer = try await workshop.http.execute(
                CurlRequest(
                    method: "PUT", url: "\(instances[1].origin)/v1/accounts/\(line.id)",
                    headers: [("Content-Type", "application/json")], body: line.putBody))
            guard answer.status == 201 else { throw ServerFailure("the account was answered \(answer.status)") }
            ids.append(line.id)
        }
        return ids
    }

    /// Pauses and resumes each account this often, through whichever instance is there.
    func toggle(_ accounts: [String], times: Int) async throws {
        for _ in 0..<times {
            for (index, account) in accounts.enumerated() {
                for what in ["pause", "resume"] { try await post(account, what, from: index) }
            }
        }
    }

    private func post(_ account: String, _ what: String, from first: Int) async throws {
        for number in first..<(first + 300) {
            let instance = instances[number % instances.count]
            let answer = try? await workshop.http.execute(
                CurlRequest(method: "POST", url: "\(instance.origin)/v1/accounts/\(account)/\(what)"))
            if answer?.status == 200 || answer?.status == 204 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ServerFailure("nobody answered to \(what) of \(account)")
    }

    /// Waits until one leads.
    func leader() async throws -> CrashInstance {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                return try await leaderNow()
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// The instance that has said last that it leads.
    private func leaderNow() async throws -> CrashInstance {
        let holder = try await redis.ask("get", "perennial:{leader}")
        let epoch = holder.split(separator: " ").last.map(String.init) ?? ""
        for instance in instances where instance.log.contains("Now the leader (epoch \(epoch))") { return instance }
        throw ServerFailure("nobody leads: \(holder)")
    }

    /// Waits until another instance leads than one that was killed.
    func waitForLeader(besides dead: CrashInstance) async throws {
        try await eventually("another instance leads") {
            guard let leader = try? await leaderNow() else { return false }
            return leader.number != dead.number
        }
    }

    // MARK: commands

    struct Event: Sendable, Decodable {
        struct Fields: Sendable, Decodable {
            var account: String?
        }
        var id: String
        var type: String
        var data: Fields
    }

    func command(_ words: String...) async throws -> (code: Int32, output: String) {
        let process = try await workshop.start(
            "command", workshop.perennial,
            words + ["--config", configuration, "--state-dir", workshop.path("state-command")])
        while await process.isRunning { try await Task.sleep(for: .milliseconds(10)) }
        return (await process.exitCode ?? -1, process.log)
    }

    /// All events, as `perennial events` has them.
    func events() async throws -> [Event] {
        let (code, output) = try await command("events", "--json", "--since", "1d")
        guard code == 0 else { throw ServerFailure("perennial events: \(output)") }
        return try output.split(separator: "\n").map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)) }
    }
}
