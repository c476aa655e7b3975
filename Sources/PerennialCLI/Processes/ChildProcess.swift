import NIOConcurrencyHelpers

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Why a process could not be started, or a tool did not do its work.
struct ProcessError: Error, CustomStringConvertible {
    let description: String
}

/// How a process ended.
enum ProcessEnding: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    /// From the status of wait(2).
    init(status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
    }

    var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        }
    }
}

/// A child process in a process group of its own, so that a Ctrl-C at the terminal reaches only us, and we end it in
/// order.
///
/// Made with posix_spawn(3) itself: signals that are blocked or ignored here must not be so there, and a signal has to
/// be sent at an exact moment.
final class ChildProcess: Sendable {
    /// What is told to a program at its start.
    struct Launch: Sendable {
        /// A path; nothing is looked up.
        var executable: String
        /// Without the program's own name.
        var arguments: [String]
        var environment: [String: String]
        /// A descriptor that becomes standard input; nil for /dev/null.
        var input: Int32?
        /// The file that standard output and error are appended to, made with mode 0600; nil for /dev/null.
        var output: String?

        init(
            _ executable: String, _ arguments: [String], environment: [String: String], input: Int32? = nil,
            output: String? = nil
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.input = input
            self.output = output
        }
    }

    let pid: pid_t
    private let guardian: ProcessGuard?
    /// Nil while it runs, or has not been reaped. Also keeps signals from reaching a pid that is somebody else's by now.
    private let endingIfReaped = NIOLockedValueBox<ProcessEnding?>(nil)

    /// - Parameter guardian: kills the child should this process die without having stopped it.
    /// - Throws: ``ProcessError``.
    init(_ launch: Launch, guardian: ProcessGuard? = nil) throws(ProcessError) {
        pid = try Self.spawn(launch)
        self.guardian = guardian
        guardian?.add(pid)
    }

    /// How it ended; nil while it runs. Reaps it.
    var ending: ProcessEnding? {
        endingIfReaped.withLockedValue { ending in
            reap(&ending)
            return ending
        }
    }

    var isRunning: Bool { ending == nil }

    /// Sends a signal, unless the child has ended.
    func signal(_ number: Int32) {
        endingIfReaped.withLockedValue { ending in
            reap(&ending)
            if ending == nil { _ = kill(pid, number) }
        }
    }

    /// Waits for its end.
    ///
    /// - Returns: nil if it still runs after `limit`.
    func wait(atMost limit: Duration) async -> ProcessEnding? {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let ending { return ending }
            // Cancelled, this loop would spin.
            guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { return ending }
        }
        return ending
    }

    /// SIGTERM, and SIGKILL for what has not ended after `patience`. Returns when it has ended, whether or not the
    /// calling task is cancelled.
    @discardableResult
    func stop(patience: Duration) async -> ProcessEnding? {
        await Task {
            signal(SIGTERM)
            if let ending = await wait(atMost: patience) { return ending }
            signal(SIGKILL)
            return await wait(atMost: .seconds(10))
        }.value
    }

    private func reap(_ ending: inout ProcessEnding?) {
        guard ending == nil else { return }
        var status: Int32 = 0
        let result = waitpid(pid, &status, WNOHANG)
        guard result == pid || (result == -1 && errno == ECHILD) else { return }
        ending = result == pid ? ProcessEnding(status: status) : .exited(0)
        guardian?.remove(pid)
    }

    /// Starts a program and answers its pid, which has to be waited for.
    static func spawn(_ launch: Launch) throws(ProcessError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input = launch.input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(
            &actions, 1, launch.output ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        posix_spawnattr_setpgroup(&attributes, 0)
        var signals = sigset_t()
        sigemptyset(&signals)
        // Threads of Dispatch block signals, and what is ignored here would stay ignored across exec(3).
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)

        var argv: [UnsafeMutablePointer<CChar>?] = ([launch.executable] + launch.arguments).map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] = launch.environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in argv + envp { free(text) } }
        argv.append(nil)
        envp.append(nil)
        var pid: pid_t = 0
        let result = posix_spawn(&pid, launch.executable, &actions, &attributes, argv, envp)
        guard result == 0 else {
            throw ProcessError(description: "cannot start \(launch.executable): \(String(cString: strerror(result)))")
        }
        return pid
    }
}
