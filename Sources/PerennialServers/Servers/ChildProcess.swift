import Glibc

/// A child process by its pid, always reaped. When the test process dies, however it dies, the child is killed too.
///
/// Made with posix_spawn itself: a test must be able to stop, continue and kill a server at an exact moment, and keep
/// it across several calls.
public final class ChildProcess {
    public struct SpawnError: Error, CustomStringConvertible {
        public let description: String
    }

    public let pid: pid_t
    /// Its exit code, or 128 and the number of the signal that ended it, as a shell says it. Nil while it runs.
    public private(set) var exitCode: Int32?
    private var isReaped = false
    private var guardian: Guardian?

    /// - Parameters:
    ///   - executable: Found through `PATH`.
    ///   - output: The file that standard output and error are appended to. Nil: they are dropped.
    ///   - isGuarded: Whether it dies together with this process.
    public init(_ executable: String, _ arguments: [String], output: String? = nil, isGuarded: Bool = true) throws {
        pid = try Self.spawn(executable, arguments, input: nil, output: output)
        if isGuarded { guardian = try? Guardian(of: pid) }
    }

    deinit {
        if isRunning {
            killGroup()
            wait()
        }
        guardian?.dismiss()
    }

    public var isRunning: Bool {
        guard !isReaped else { return false }
        var status: Int32 = 0
        let result = waitpid(pid, &status, WNOHANG)
        if result == pid || (result == -1 && errno == ECHILD) { reaped(status) }
        return !isReaped
    }

    /// Sends a signal, unless the child has ended.
    public func kill(_ signal: Int32) {
        guard isRunning else { return }
        _ = Glibc.kill(pid, signal)
    }

    /// SIGKILL for the child and for those of its own children that stayed in its process group.
    public func killGroup() {
        guard isRunning else { return }
        _ = Glibc.kill(-pid, SIGKILL)
    }

    /// Waits for the end of the child.
    public func wait() {
        var status: Int32 = 0
        while !isReaped {
            let result = waitpid(pid, &status, 0)
            if result == pid || (result == -1 && errno != EINTR) { reaped(status) }
        }
    }

    private func reaped(_ status: Int32) {
        isReaped = true
        exitCode = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        guardian?.dismiss()
        guardian = nil
    }

    /// Runs a tool to its end.
    public static func run(_ executable: String, _ arguments: [String]) throws {
        let status = try finish(executable, arguments)
        guard status == 0 else {
            throw SpawnError(description: "\(executable) \(arguments.first ?? "") failed with status \(status >> 8)")
        }
    }

    /// Runs a tool to its end and returns its exit code; 127 when it cannot be started, 128 + signal when killed.
    public static func status(_ executable: String, _ arguments: [String]) -> Int32 {
        guard let status = try? finish(executable, arguments) else { return 127 }
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    private static func finish(_ executable: String, _ arguments: [String]) throws -> Int32 {
        let pid = try spawn(executable, arguments, input: nil, output: nil)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        return status
    }

    fileprivate static func spawn(
        _ executable: String, _ arguments: [String], input: Int32?, output: String?
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The sockets of this process, which NIO leaves open for children: one that lived on would keep the far end from
        // seeing that they were closed.
        for descriptor in Int32(3)..<4096 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A process group of its own: a Ctrl-C at the test runner reaches the guardian's kill, not a half-done server.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        posix_spawnattr_setpgroup(&attributes, 0)
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        posix_spawnattr_setsigmask(&attributes, &noSignals)

        var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, executable, &actions, &attributes, argv, environ)
        guard result == 0 else {
            throw SpawnError(
                description: "cannot start \(executable): \(String(cString: strerror(result))); is it installed?")
        }
        return pid
    }

    /// A shell that holds the reading end of a pipe and kills the child's process group when the pipe breaks.
    private final class Guardian {
        private let pid: pid_t
        private let pipe: Int32
        private var isDismissed = false

        init(of child: pid_t) throws {
            var ends: [Int32] = [-1, -1]
            guard Glibc.pipe(&ends) == 0 else { throw SpawnError(description: "no pipe for the guardian") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            defer { close(ends[0]) }
            do {
                pid = try ChildProcess.spawn("sh", ["-c", "read _; kill -9 -\(child)"], input: ends[0], output: nil)
            } catch {
                close(ends[1])
                throw error
            }
            pipe = ends[1]
        }

        /// The child has been reaped and its pid may name another process soon.
        func dismiss() {
            guard !isDismissed else { return }
            isDismissed = true
            _ = Glibc.kill(pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) == -1, errno == EINTR {}
            close(pipe)
        }
    }
}
