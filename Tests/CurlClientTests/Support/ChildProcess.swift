import Glibc

/// A child process without Foundation's `Process`, whose waiting spins and needs a run loop: neither does in a task.
struct ChildProcess {
    private let pid: pid_t

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Starts a program from the usual directories; its output goes nowhere.
    init(_ name: String, _ arguments: [String]) throws {
        let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"]
        guard let place = places.first(where: { access("\($0)/\(name)", X_OK) == 0 }) else {
            throw Failure(description: "\(name) has to be installed for this test")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in 0...2 as ClosedRange<Int32> {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        // A task's thread has signals blocked; a child that inherits that cannot be terminated.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var words = ([name] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let result = posix_spawn(&child, "\(place)/\(name)", &actions, &attributes, &words, environ)
        guard result == 0 else { throw Failure(description: "\(name) could not be started: \(result)") }
        pid = child
    }

    /// Waits for the end. True if it was good.
    func wait() -> Bool {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status == 0
    }

    func terminate() {
        kill(pid, SIGTERM)
        _ = wait()
    }
}
