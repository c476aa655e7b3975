import PerennialServers

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One `perennial serve` that is killed, stopped and started again, always with the same state directory and address.
actor CrashInstance {
    /// From 1.
    nonisolated let number: Int
    nonisolated let port: Int
    /// Of its state.
    nonisolated let directory: String
    private nonisolated let logPath: String
    private let words: [String]
    private var child: ChildProcess?

    nonisolated var origin: String { "http://127.0.0.1:\(port)" }
    nonisolated var log: String { TextFile.read(logPath) ?? "" }

    init(number: Int, port: Int, directory: String, words: [String], logPath: String) {
        self.number = number
        self.port = port
        self.directory = directory
        self.logPath = logPath
        self.words = words + ["--listen", "127.0.0.1:\(port)", "--state-dir", directory]
    }

    func start() throws {
        child = try ChildProcess(words[0], Array(words.dropFirst()), output: logPath)
    }

    /// SIGKILL; returns when it is dead.
    func kill() {
        child?.kill(SIGKILL)
        child?.wait()
        FakeClock.forget(child?.pid)
        child = nil
    }

    /// SIGSTOP.
    func pause() { child?.kill(SIGSTOP) }

    /// SIGCONT.
    func resume() { child?.kill(SIGCONT) }

    /// SIGTERM; does not wait.
    func ask() { child?.kill(SIGTERM) }
}
