import CurlClient
import PerennialServers
import Sealing

/// One store, one provider, and a real proxy of each kind, all of which want a user name and password.
struct ProxySite: Sendable {
    static let user = "planted-user"
    static let password = "planted-pa55w-rd"

    let workshop: Workshop
    let redis: RedisServer
    let mock: MockProcess
    let configuration: String
    /// By scheme; `http` and `https` are one tinyproxy, the latter behind stunnel.
    let ports: [String: Int]
    let http: ServerProcess
    let socks: ServerProcess
    let tls: ServerProcess

    static func run(_ body: @Sendable (ProxySite) async throws -> Void) async throws {
        let binary = try PerennialBinary.locate(besides: CommandLine.arguments[0])
        try await Workshop.with(perennial: binary) { workshop in
            let redis = try await workshop.startRedis(.tcp)
            try await body(try await ProxySite(workshop, redis))
        }
    }

    private init(_ workshop: Workshop, _ redis: RedisServer) async throws {
        self.workshop = workshop
        self.redis = redis
        mock = try await MockProcess.start(workshop, latency: "0ms")
        let certificates = try RedisServerCertificates(in: workshop.directory)
        let (http, tls, socks) = (try FreePort.find(), try FreePort.find(), try FreePort.find())
        ports = ["http": http, "https": tls, "socks5": socks, "socks5h": socks]

        try TextFile.write(
            """
            Port \(http)
            Listen 127.0.0.1
            Timeout 60
            MaxClients 50
            LogLevel Info
            BasicAuth \(Self.user) \(Self.password)

            """, to: workshop.path("tinyproxy.conf"))
        self.http = try await workshop.start("tinyproxy", "tinyproxy", ["-d", "-c", workshop.path("tinyproxy.conf")])
        try TextFile.write(
            """
            foreground = yes
            pid =
            socket = l:SO_REUSEADDR=1
            [proxy]
            accept = 127.0.0.1:\(tls)
            connect = 127.0.0.1:\(http)
            cert = \(certificates.serverCertificateFile)
            key = \(certificates.serverKeyFile)

            """, to: workshop.path("stunnel.conf"))
        self.tls = try await workshop.start("stunnel", "stunnel", [workshop.path("stunnel.conf")])
        self.socks = try await workshop.start(
            "microsocks", "microsocks", ["-i", "127.0.0.1", "-p", String(socks), "-u", Self.user, "-P", Self.password])

        let key = workshop.path("sealing.key")
        try TextFile.write(SealingKey.generate().revealBase64() + "\n", to: key)
        configuration = workshop.path("perennial.yaml")
        // A name, so that it shows who resolves it.
        try TextFile.write(
            """
            redis: { url: "\(redis.url)" }
            sealing: { key_file: "\(key)" }
            providers:
              mock: &mock
                preset: oauth2
                token_url: "http://localhost:\(mock.port)/oauth2/token"
                client_id: test
                rotation: single_use
                send_by: 15s
                connect_timeout: 15s
                exchange_deadline: 30s
                lock_ttl: 46s
                backoff: { base: 50ms, cap: 100ms }
                proxy: { ca_file: "\(certificates.caFile)" }
              led:
                preset: oauth2
                token_url: "http://localhost:\(mock.port)/oauth2/token"
                client_id: test
                rotation: single_use
                send_by: 15s
                connect_timeout: 15s
                exchange_deadline: 30s
                lock_ttl: 46s
                proxy:
                  url: "http://127.0.0.1:\(http)"
                  username: \(Self.user)
                  password: "\(Self.password)"

            """.replacing("mock: &mock", with: "mock:"), to: configuration)
        for (process, port) in [(self.http, http), (self.tls, tls), (self.socks, socks)] {
            try await process.waitUntil("listening", timeout: .seconds(60)) {
                ChildProcess.status("bash", ["-c", "exec 3<>/dev/tcp/127.0.0.1/\(port)"]) == 0
            }
        }
    }

    /// The URL of a proxy with credentials, percent-encoded.
    func proxy(_ scheme: String, password: String = "planted%2Dpa55w-rd") -> String {
        "\(scheme)://\(Self.user):\(password)@127.0.0.1:\(ports[scheme] ?? 0)"
    }

    /// Runs the command line; what it says on both streams, and its exit code.
    func perennial(_ arguments: String...) async throws -> (output: String, code: Int32) {
        let process = try await workshop.start(
            "perennial-\(arguments[0])", workshop.perennial,
            arguments + ["--config", configuration, "--state-dir", workshop.path("state")])
        let deadline = ContinuousClock.now + .seconds(60)
        while await process.isRunning, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
        return (process.log, await process.exitCode ?? -1)
    }

    /// Gives an account of the provider a proxy; its access token has expired.
    func add(_ id: String, proxy: String?, provider: String = "mock") async throws {
        let account = try await mock.seedOne(id + "-", isExpired: true)
        let proxyField = proxy.map { ",\"proxy\":\"\($0)\"" } ?? ""
        let path = workshop.path("\(id).jsonl")
        try TextFile.write(
            "{\"id\":\"\(id)\",\"provider\":\"\(provider)\",\"refresh_token\":\"\(account.refreshToken)\"\(proxyField)}\n",
            to: path)
        let (output, code) = try await perennial("accounts", "import", path)
        guard code == 0 else { throw ServerFailure("import of \(id): \(output)") }
    }
}
