import Glibc
import PerennialTesting

/// A program that runs while something is measured; its output goes to a file.
actor ServerProcess {
    nonisolated let name: String
    nonisolated let logPath: String
    private let child: ChildProcess

    init(_ name: String, _ executable: String, _ arguments: [String], logPath: String) throws {
        self.name = name
        self.logPath = logPath
        child = try ChildProcess(executable, arguments, output: logPath)
    }

    nonisolated var log: String { TextFile.read(logPath) ?? "" }

    /// Waits until `isReady` says so.
    ///
    /// - Throws: ``BenchError`` with the end of its output when the program has ended or the time is over.
    func waitUntil(
        _ what: String, timeout: Duration, _ isReady: @Sendable () async -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + timeout
        while !(await isReady()) {
            guard child.isRunning else { throw BenchError("\(name) ended before it was \(what):\n\(log.suffix(2000))") }
            guard ContinuousClock.now < deadline else {
                throw BenchError("\(name) is not \(what) after \(timeout):\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits for the end of a program that ends by itself.
    ///
    /// - Throws: ``BenchError`` with the end of its output when it failed or did not end.
    func waitForSuccess(timeout: Duration) async throws {
        let deadline = ContinuousClock.now + timeout
        while child.isRunning {
            guard ContinuousClock.now < deadline else {
                throw BenchError("\(name) has not ended after \(timeout):\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        guard child.exitCode == 0 else {
            throw BenchError("\(name) failed with code \(child.exitCode ?? -1):\n\(log.suffix(2000))")
        }
    }

    /// SIGTERM, and SIGKILL for it and its children when that has not worked within three seconds.
    func stop() async {
        child.kill(SIGTERM)
        let deadline = ContinuousClock.now + .seconds(3)
        while child.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(10)) }
        child.killGroup()
        child.wait()
    }
}
