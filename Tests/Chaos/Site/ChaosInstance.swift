import Glibc
import PerennialServers

/// One `perennial serve` that is killed, stopped and started again, always with the same state directory and address.
actor ChaosInstance {
    enum State: Sendable, Hashable {
        case running, paused, down
    }

    /// From 1.
    nonisolated let number: Int
    nonisolated let port: Int
    nonisolated let stateDirectory: String
    /// One file for all its lives.
    nonisolated let logPath: String
    private let words: [String]
    private var child: ChildProcess?
    private(set) var state = State.down

    nonisolated var origin: String { "http://127.0.0.1:\(port)" }

    /// - Parameter words: what starts it, without what is said here.
    init(number: Int, port: Int, stateDirectory: String, logPath: String, words: [String]) {
        self.number = number
        self.port = port
        self.stateDirectory = stateDirectory
        self.logPath = logPath
        self.words = words + ["--listen", "127.0.0.1:\(port)", "--state-dir", stateDirectory]
    }

    func start() throws {
        guard state == .down else { return }
        child = try ChildProcess(words[0], Array(words.dropFirst()), output: logPath)
        state = .running
    }

    /// SIGKILL; returns when it is dead.
    func kill() {
        child?.kill(SIGKILL)
        child?.wait()
        FakeClock.forget(child?.pid)
        child = nil
        state = .down
    }

    func pause() {
        guard state == .running else { return }
        child?.kill(SIGSTOP)
        state = .paused
    }

    func resume() {
        guard state == .paused else { return }
        child?.kill(SIGCONT)
        state = .running
    }

    /// Why it ended although nobody told it to; nil while it runs, or is down as ordered. Asked once for each end.
    func unexpectedEnd() -> String? {
        guard state != .down, let child, !child.isRunning else { return nil }
        state = .down
        self.child = nil
        return "instance \(number) ended by itself with code \(child.exitCode ?? -1)"
    }

    /// SIGTERM, and SIGKILL when that has not worked.
    ///
    /// - Returns: what was wrong with its end.
    func stop(patience: Duration) async -> String? {
        guard let child, child.isRunning else { return nil }
        child.kill(SIGCONT)
        child.kill(SIGTERM)
        let deadline = ContinuousClock.now + patience
        while child.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        defer {
            child.killGroup()
            child.wait()
            FakeClock.forget(child.pid)
            self.child = nil
            state = .down
        }
        if child.isRunning { return "instance \(number) does not stop within \(patience)" }
        if let code = child.exitCode, code != 0 { return "instance \(number) stopped with code \(code)" }
        return nil
    }
}
