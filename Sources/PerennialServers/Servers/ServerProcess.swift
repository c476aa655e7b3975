import Glibc

/// A program that runs for a test or a measurement; its output goes to a file.
public actor ServerProcess {
    public nonisolated let name: String
    public nonisolated let logPath: String
    private let child: ChildProcess

    public init(_ name: String, _ executable: String, _ arguments: [String], logPath: String) throws {
        self.name = name
        self.logPath = logPath
        child = try ChildProcess(executable, arguments, output: logPath)
    }

    public nonisolated var log: String { TextFile.read(logPath) ?? "" }

    /// Waits until `isReady` says so.
    ///
    /// - Throws: ``ServerFailure`` with the end of its output when the program has ended or the time is over.
    public func waitUntil(
        _ what: String, timeout: Duration, _ isReady: @Sendable () async -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + timeout
        while !(await isReady()) {
            guard child.isRunning else {
                throw ServerFailure("\(name) ended before it was \(what):\n\(log.suffix(2000))")
            }
            guard ContinuousClock.now < deadline else {
                throw ServerFailure("\(name) is not \(what) after \(timeout):\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits for the end of a program that ends by itself.
    ///
    /// - Throws: ``ServerFailure`` with the end of its output when it failed or did not end.
    public func waitForSuccess(timeout: Duration) async throws {
        try await waitUntilEnded(timeout: timeout)
        guard child.exitCode == 0 else {
            throw ServerFailure("\(name) failed with code \(child.exitCode ?? -1):\n\(log.suffix(2000))")
        }
    }

    /// Waits for the end of a program that ends by itself, well or not.
    ///
    /// - Throws: ``ServerFailure`` with the end of its output when it has not ended in time.
    public func waitUntilEnded(timeout: Duration) async throws {
        let deadline = ContinuousClock.now + timeout
        while child.isRunning {
            guard ContinuousClock.now < deadline else {
                throw ServerFailure("\(name) has not ended after \(timeout):\n\(log.suffix(2000))")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    public var isRunning: Bool { child.isRunning }
    public var pid: Int32 { child.pid }

    /// Nil while it runs; 128 and the number of the signal that ended it, as a shell says it.
    public var exitCode: Int32? { child.isRunning ? nil : child.exitCode }

    /// Sends a signal, unless the program has ended.
    public func send(_ signal: Int32) {
        child.kill(signal)
    }

    /// SIGKILL, and waits for the end of the process.
    public func kill() {
        child.kill(SIGKILL)
        child.wait()
    }

    /// SIGTERM, and SIGKILL for it and its children when that has not worked within three seconds.
    public func stop() async {
        child.kill(SIGTERM)
        // One that was stopped could not even end.
        child.kill(SIGCONT)
        let deadline = ContinuousClock.now + .seconds(3)
        while child.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(10)) }
        child.killGroup()
        child.wait()
    }
}
