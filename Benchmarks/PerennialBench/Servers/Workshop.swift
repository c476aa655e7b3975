import CurlClient
import Glibc
import PerennialTesting

/// The temporary directory of one measurement and everything that was started in it.
actor Workshop {
    nonisolated let directory: String
    nonisolated let environment: BenchEnvironment
    nonisolated let http: CurlClient
    private var processes: [ServerProcess] = []
    private var redisServers: [RedisServer] = []
    private var logs = 0

    private init(_ environment: BenchEnvironment) throws {
        // Sockets may have at most 107 bytes, so the directory is kept short.
        var template = Array("/tmp/prn-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("cannot make a temporary directory") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.environment = environment
        http = CurlClient()
    }

    /// Runs `body` with a new workshop, and stops and removes everything afterwards, whatever happens.
    static func with<Result: Sendable>(
        _ environment: BenchEnvironment, _ body: (Workshop) async throws -> Result
    ) async throws -> Result {
        let workshop = try Workshop(environment)
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
        try? ChildProcess.run("rm", ["-rf", "--", directory])
    }

    /// A file of this measurement.
    nonisolated func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Starts a program whose output goes to a file of its own.
    func start(_ name: String, _ executable: String, _ arguments: [String]) throws -> ServerProcess {
        logs += 1
        let process = try ServerProcess(name, executable, arguments, logPath: path("\(logs)-\(name).log"))
        processes.append(process)
        return process
    }

    /// Runs a program to its end.
    ///
    /// - Returns: what it wrote.
    func run(
        _ name: String, _ executable: String, _ arguments: [String], timeout: Duration
    ) async throws -> String {
        let process = try start(name, executable, arguments)
        try await process.waitForSuccess(timeout: timeout)
        return process.log
    }

    /// A redis-server as `perennial serve` runs its own: append-only file, fsync every second, no eviction.
    func startRedis(_ listener: RedisServer.Options.Listener = .unixSocket) async throws -> RedisServer {
        let server = try await RedisServer.start(
            .init(
                listener,
                directives: ["appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"]))
        redisServers.append(server)
        return server
    }
}
