import CurlClient
import PerennialServers
import RedisStore
import Sealing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One store, one provider to log in at, and the real command line.
struct LoginSite: Sendable {
    let workshop: Workshop
    let redis: RedisServer
    let mock: MockProcess
    let configuration: String

    /// - Parameters:
    ///   - login: lines under `login` besides the URLs.
    ///   - options: of the mock provider.
    static func run(
        _ login: [String] = ["params: { prompt: none, login_hint: alice }"], options: [String] = [],
        _ body: @Sendable (LoginSite) async throws -> Void
    ) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            try await withRedisServer(RedisServer.Options(.tcp, directives: ["appendonly yes"])) { redis in
                try await body(try await LoginSite(workshop, redis, login, options))
            }
        }
    }

    private init(_ workshop: Workshop, _ redis: RedisServer, _ login: [String], _ options: [String]) async throws {
        self.workshop = workshop
        self.redis = redis
        mock = try await MockProcess.start(workshop, latency: "0ms", options: options)
        let key = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
        configuration = workshop.path("perennial.yaml")
        try TextFile.write(
            """
            redis: { url: "\(redis.url)", command_timeout: 1s }
            sealing: { key_file: "\(key)" }
            providers:
              mock:
                preset: oauth2
                token_url: "http://127.0.0.1:\(mock.port)/oauth2/token"
                client_id: test
                rotation: single_use
                login:
                  authorization_url: "http://127.0.0.1:\(mock.port)/authorize"
                  device_authorization_url: "http://127.0.0.1:\(mock.port)/device/code"
                  issuer: "http://127.0.0.1:\(mock.port)"
                  scope: openid email
                  account_id: id_token:/sub
                  account_name: id_token:/name
            \(login.map { "      \($0)" }.joined(separator: "\n"))

            """, to: configuration)
    }

    /// Starts `perennial login`; with a pipe of that name for its standard input, if there is one.
    func login(_ arguments: [String], input: String? = nil) async throws -> ServerProcess {
        let all = ["login", "mock", "--no-browser", "--config", configuration, "--state-dir", workshop.path("state")]
        guard let input else { return try await workshop.start("login", workshop.perennial, all + arguments) }
        return try await workshop.start(
            "login", "bash",
            ["-c", "input=$1; shift; exec \"$@\" < \"$input\"", "bash", input, workshop.perennial] + all + arguments)
    }

    /// Runs the command line to its end.
    func perennial(_ arguments: String...) async throws -> (output: String, code: Int32) {
        let process = try await workshop.start(
            "perennial-\(arguments[0])", workshop.perennial,
            arguments + ["--config", configuration, "--state-dir", workshop.path("state")])
        let code = try await end(of: process)
        return (process.log, code)
    }

    func end(of process: ServerProcess, within limit: Duration = .seconds(60)) async throws -> Int32 {
        let deadline = ContinuousClock.now + limit
        while await process.isRunning {
            guard ContinuousClock.now < deadline else { throw TimedOut(description: "it runs on:\n\(process.log)") }
            try await Task.sleep(for: .milliseconds(10))
        }
        return await process.exitCode ?? -1
    }

    /// The address that a log-in has printed.
    func address(_ process: ServerProcess) async throws -> String {
        try await process.waitUntil("ready for the browser", timeout: .seconds(60)) {
            Self.address(in: process.log) != nil
        }
        return Self.address(in: process.log) ?? ""
    }

    static func address(in log: String) -> String? {
        log.split(separator: "\n").first { $0.hasPrefix("http://") && $0.contains("code_challenge=") }.map(String.init)
    }

    static func parameter(_ name: String, of url: String) -> String {
        let items = URLComponents(string: url)?.queryItems ?? []
        return items.first { $0.name == name }?.value ?? ""
    }

    /// A browser: follows redirects; what it ends up with, and where.
    func browse(_ url: String, form: String? = nil) async throws -> (body: String, url: String) {
        let method = form.map { ["--data", $0] } ?? []
        let output = try await workshop.run(
            "browser", "curl", ["-sS", "-L", "--max-time", "30", "-w", "\n%{url_effective}"] + method + [url],
            timeout: .seconds(40))
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        return (lines.dropLast().joined(separator: "\n"), String(lines.last ?? ""))
    }

    func account(_ id: String) async throws -> String {
        try await perennial("accounts", "show", id, "--json").output
    }

    /// What is kept and not stored yet.
    var keptLogins: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: workshop.path("state/logins"))) ?? []).sorted()
    }

    /// No code, token or verifier in anything that was said. Tokens of the mock provider begin with these.
    func expectNoSecrets(_ sources: ServerProcess...) -> [String] {
        sources.flatMap { process in
            process.log.split(separator: "\n").filter { line in
                ["mrt_", "mat_", "mac_", "mdc_", "code_verifier"].contains { line.contains($0) }
            }.map(String.init)
        }
    }
}
