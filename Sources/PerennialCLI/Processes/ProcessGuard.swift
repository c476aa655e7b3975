import NIOConcurrencyHelpers

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Sees to it that nothing is left behind if this process dies without a chance to clean up, by SIGKILL or a crash.
///
/// A small shell that reads from a pipe what there is to end. When the pipe breaks, which happens however this process
/// dies, it kills the children it was told of and removes their directory. A death signal from the kernel would be bound to
/// the thread that started the child, and here that thread comes and goes.
final class ProcessGuard: Sendable {
    private static let script = """
        trap '' HUP INT TERM
        pids= dir=
        while read -r word value; do
            case $word in
                add) pids="$pids $value" ;;
                remove)
                    rest=
                    for pid in $pids; do [ "$pid" = "$value" ] || rest="$rest $pid"; done
                    pids=$rest ;;
                directory) dir=$value ;;
                dismiss) exit 0 ;;
            esac
        done
        for pid in $pids; do kill -9 "$pid"; done
        if [ -n "$dir" ]; then
            for turn in 1 2 3 4 5; do rm -rf -- "$dir" && [ ! -e "$dir" ] && break; sleep 0.2; done
        fi
        """

    private let pid: pid_t
    /// Nil once dismissed.
    private let writingEnd: NIOLockedValueBox<Int32?>

    /// - Parameter directory: removed as well, if not nil. Without line breaks in its path.
    /// - Throws: ``ProcessError``.
    init(directory: String?) throws(ProcessError) {
        // A guard that has died must not take us with it.
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [-1, -1]
        guard Self.openPipe(&ends) else { throw ProcessError(description: "cannot make a pipe") }
        defer { close(ends[0]) }
        do throws(ProcessError) {
            pid = try ChildProcess.spawn(
                ChildProcess.Launch(
                    "/bin/sh", ["-c", Self.script], environment: ["PATH": "/usr/bin:/bin"], input: ends[0]))
        } catch {
            close(ends[1])
            throw error
        }
        writingEnd = NIOLockedValueBox(ends[1])
        if let directory { tell("directory \(directory)") }
    }

    func add(_ child: pid_t) {
        tell("add \(child)")
    }

    /// The child has been reaped, and its pid may be another's soon.
    func remove(_ child: pid_t) {
        tell("remove \(child)")
    }

    /// Everything has been cleaned up. Returns when the shell has ended.
    func dismiss() {
        tell("dismiss")
        abandon()
    }

    /// Breaks the pipe, as the end of this process would. Returns when the shell has done its work.
    func abandon() {
        let end = writingEnd.withLockedValue { end in
            defer { end = nil }
            return end
        }
        guard let end else { return }
        close(end)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    }

    /// A child that inherited the writing end would keep the pipe from breaking. A guard is therefore made before the
    /// children that it is for.
    private static func openPipe(_ ends: inout [Int32]) -> Bool {
        guard pipe(&ends) == 0 else { return false }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return true
    }

    /// Lines are shorter than a pipe's atomic write, so they are written whole or, with the shell gone, not at all.
    private func tell(_ line: String) {
        writingEnd.withLockedValue { end in
            guard let end else { return }
            let bytes = Array("\(line)\n".utf8)
            while write(end, bytes, bytes.count) == -1, errno == EINTR {}
        }
    }
}
