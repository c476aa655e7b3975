import Glibc

/// A real redis-server for a test, in its own temporary directory. Use it through ``withRedisServer(_:_:)``, which always stops it.
public actor RedisServer {
    /// How the server is started.
    public struct Options: Sendable {
        /// Where it listens.
        public enum Listener: Sendable {
            case unixSocket
            /// A free port on 127.0.0.1.
            case tcp
            /// A free port on 127.0.0.1 that speaks TLS only.
            case tls(requireClientCertificate: Bool)
        }

        public var listener: Listener
        /// `requirepass`.
        public var password: String?
        /// Directives as in redis.conf, one a line: `appendonly yes`, `user alice on >secret ~* &* +@all`.
        public var directives: [String]
        /// What the server is started through: a program and its arguments that end in becoming the server, such as
        /// `env NAME=VALUE`.
        public var wrapper: [String] = []
        /// What the process is.
        public var mode = Mode.standalone

        public enum Mode: Sendable {
            case standalone
            /// A node of a Cluster, with a bus port of its own. It knows nobody yet.
            case clusterNode
            /// A Sentinel; the directives say what it monitors.
            case sentinel
        }

        public init(_ listener: Listener = .unixSocket, password: String? = nil, directives: [String] = []) {
            self.listener = listener
            self.password = password
            self.directives = directives
        }
    }

    public struct StartError: Error, CustomStringConvertible {
        public let description: String
    }

    /// Set for a Unix socket.
    public nonisolated let socketPath: String?
    /// Set for TCP and TLS. Stays the same over restarts.
    public nonisolated let port: Int?
    /// Set for a node of a Cluster: where it talks to the other nodes.
    public nonisolated let busPort: Int?
    /// Set for TLS.
    public nonisolated let certificates: RedisServerCertificates?
    /// Data, log and sockets; removed by ``stop()``.
    public nonisolated let directory: String

    private nonisolated let options: Options
    private var child: ChildProcess?
    private var starts = 0

    /// `redis://`, `rediss://` or `unix://`, with the password of the options. For TLS the host is `localhost`.
    public nonisolated var url: String {
        let login = options.password.map { ":\($0)@" } ?? ""
        if let socketPath { return "unix://\(login)\(socketPath)" }
        let port = port.map(String.init) ?? ""
        return certificates == nil ? "redis://\(login)127.0.0.1:\(port)" : "rediss://\(login)localhost:\(port)"
    }

    /// Starts a server and waits until it answers.
    ///
    /// - Throws: ``StartError`` with the end of the server's log; also where redis-server is not installed.
    public static func start(_ options: Options = Options()) async throws -> RedisServer {
        var lastError: any Error = StartError(description: "redis-server was not started")
        // Another process may take the free port first.
        for _ in 0..<5 {
            let server = try RedisServer(options)
            do {
                try await server.launch()
                return server
            } catch {
                lastError = error
                let isPortTaken = await server.log.contains("Address already in use")
                await server.stop()
                guard isPortTaken else { break }
            }
        }
        throw lastError
    }

    private init(_ options: Options) throws {
        guard let directory = ShortDirectory.make(prefix: "prn-redis") else {
            throw StartError(description: "cannot make a temporary directory")
        }
        self.directory = directory
        self.options = options
        busPort = options.mode == .clusterNode ? try FreePort.find() : nil
        switch options.listener {
        case .unixSocket:
            (socketPath, port, certificates) = ("\(directory)/redis.sock", nil, nil)
        case .tcp:
            (socketPath, port, certificates) = (nil, try FreePort.find(), nil)
        case .tls:
            (socketPath, port, certificates) = (
                nil, try FreePort.find(), try RedisServerCertificates(in: directory)
            )
        }
    }

    private nonisolated var configurationPath: String { "\(directory)/redis.conf" }
    private var logPath: String { "\(directory)/server-\(starts).log" }

    private var log: String { TextFile.read(logPath) ?? "" }

    private var configuration: String {
        var lines = ["dir \(directory)", "daemonize no", "loglevel notice", "always-show-logo no"]
        if options.mode != .sentinel { lines.append("save \"\"") }
        if let busPort { lines += ["cluster-enabled yes", "cluster-port \(busPort)"] }
        switch options.listener {
        case .unixSocket:
            lines += ["port 0", "unixsocket \(socketPath ?? "")", "unixsocketperm 700"]
        case .tcp:
            lines += ["bind 127.0.0.1", "port \(port ?? 0)"]
        case .tls(let requireClientCertificate):
            lines += ["bind 127.0.0.1", "port 0", "tls-port \(port ?? 0)"]
            if let certificates {
                lines += [
                    "tls-cert-file \(certificates.serverCertificateFile)",
                    "tls-key-file \(certificates.serverKeyFile)",
                    "tls-ca-cert-file \(certificates.caFile)",
                    "tls-auth-clients \(requireClientCertificate ? "yes" : "no")",
                ]
            }
        }
        if let password = options.password { lines.append("requirepass \(password)") }
        return (lines + options.directives).joined(separator: "\n") + "\n"
    }

    /// Starts the process and waits for the log line that says it accepts connections, data loaded.
    private func launch() async throws {
        starts += 1
        // A server that has rewritten its configuration (a failover does) goes on with what it wrote.
        if starts == 1 { try RedisServerCertificates.write(configuration, to: configurationPath) }
        let words =
            options.wrapper + ["redis-server", configurationPath] + (options.mode == .sentinel ? ["--sentinel"] : [])
        let child = try ChildProcess(words[0], Array(words.dropFirst()), output: logPath)
        self.child = child
        let deadline = ContinuousClock.now + .seconds(60)
        while !isReady(log) {
            guard child.isRunning else { throw StartError(description: "redis-server ended:\n\(log.suffix(2000))") }
            guard ContinuousClock.now < deadline else {
                throw StartError(description: "redis-server is not ready after 60 s:\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func isReady(_ log: String) -> Bool {
        if options.mode == .sentinel { return log.contains("+monitor master") }
        return log.contains("Ready to accept connections") || log.contains("ready to accept connections at")
    }

    /// Of the running process; nil while there is none.
    public var pid: Int32? { child?.pid }

    /// Whether the process has been started and has not ended; also while it is stopped by a signal.
    public var isRunning: Bool { child?.isRunning ?? false }

    /// Sends a command with redis-cli and returns what it prints: one line for each element of a reply.
    ///
    /// - Parameter timeout: A server that does not answer in this time is an error.
    /// - Throws: ``StartError`` with the reply, when it is an error.
    @discardableResult
    public nonisolated func ask(_ words: String..., timeout: Duration = .seconds(10)) async throws -> String {
        try await ask(words, timeout: timeout)
    }

    @discardableResult
    nonisolated func ask(_ words: [String], timeout: Duration) async throws -> String {
        guard let port, certificates == nil else {
            throw StartError(description: "redis-cli is used over plain TCP only")
        }
        return try await RedisCLI.run(
            ["-h", "127.0.0.1", "-p", String(port)] + words, password: options.password, timeout: timeout)
    }

    /// Ends the server, waits for its end and removes its directory.
    public func stop() {
        kill()
        try? ChildProcess.run("rm", ["-rf", "--", directory])
    }

    /// SIGKILL, and waits for the end of the process. The data stay.
    public func kill() {
        child?.kill(SIGKILL)
        child?.wait()
        child = nil
    }

    /// SIGTERM, and waits for the end of the process: Redis saves what it is told to save. The data stay.
    public func shutDown() {
        child?.kill(SIGCONT)
        child?.kill(SIGTERM)
        child?.wait()
        child = nil
    }

    /// SIGSTOP: connections stay open and nothing answers.
    public func pause() {
        child?.kill(SIGSTOP)
    }

    public func resume() {
        child?.kill(SIGCONT)
    }

    /// Starts it again with the same data, address and directives; kills it first where it still runs.
    public func restart() async throws {
        kill()
        if let socketPath { unlink(socketPath) }
        try await launch()
    }
}

/// Runs `body` with a redis-server that has just been started, and stops it whatever happens.
public func withRedisServer<Result: Sendable>(
    _ options: RedisServer.Options = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (RedisServer) async throws -> Result
) async throws -> Result {
    let server = try await RedisServer.start(options)
    return try await stopping(server, isolation: isolation, by: { await $0.stop() }, after: body)
}
