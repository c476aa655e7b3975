import CurlClient
import Glibc

/// The temporary directory of one test or measurement and everything that was started in it.
public actor Workshop {
    public nonisolated let directory: String
    /// The binary under test.
    public nonisolated let perennial: String
    public nonisolated let http: CurlClient
    private var processes: [ServerProcess] = []
    private var redisServers: [RedisServer] = []
    private var logs = 0
    private var keepsFiles = false

    private init(perennial: String, prefix: String) throws {
        guard let directory = ShortDirectory.make(prefix: prefix) else {
            throw ServerFailure("cannot make a temporary directory")
        }
        self.directory = directory
        self.perennial = perennial
        http = CurlClient()
    }

    /// Runs `body` with a new workshop, and stops and removes everything afterwards, whatever happens.
    ///
    /// - Parameters:
    ///   - perennial: path of the binary under test.
    ///   - prefix: what the name of the directory begins with; short, because of the sockets in it.
    public static func with<Result: Sendable>(
        perennial: String, prefix: String = "prn",
        _ body: (Workshop) async throws -> Result
    ) async throws -> Result {
        let workshop = try Workshop(perennial: perennial, prefix: prefix)
        do {
            let result = try await body(workshop)
            await workshop.close()
            return result
        } catch {
            await workshop.close()
            throw error
        }
    }

    private func close() async {
        await http.shutdown()
        for process in processes.reversed() { await process.stop() }
        for server in redisServers { await server.stop() }
        guard !keepsFiles else { return }
        try? ChildProcess.run("rm", ["-rf", "--", directory])
    }

    /// Leaves the directory where it is, for somebody to look at.
    public func keepFiles() { keepsFiles = true }

    /// A file of this test or measurement.
    public nonisolated func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Starts a program whose output goes to a file of its own.
    public func start(_ name: String, _ executable: String, _ arguments: [String]) throws -> ServerProcess {
        logs += 1
        let process = try ServerProcess(name, executable, arguments, logPath: path("\(logs)-\(name).log"))
        processes.append(process)
        return process
    }

    /// Runs a program to its end.
    ///
    /// - Returns: what it wrote.
    public func run(
        _ name: String, _ executable: String, _ arguments: [String], timeout: Duration
    ) async throws -> String {
        let process = try start(name, executable, arguments)
        try await process.waitForSuccess(timeout: timeout)
        return process.log
    }

    /// A redis-server as `perennial serve` runs its own: append-only file, fsync every second, no eviction.
    public func startRedis(_ listener: RedisServer.Options.Listener = .unixSocket) async throws -> RedisServer {
        let server = try await RedisServer.start(
            .init(
                listener,
                directives: ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"]))
        redisServers.append(server)
        return server
    }
}
