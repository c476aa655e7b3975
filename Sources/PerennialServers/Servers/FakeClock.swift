import Glibc

/// A wall clock that can be turned, for a process that is started through it (libfaketime). The monotonic clock is
/// left alone, as a turned wall clock leaves it.
public struct FakeClock: Sendable {
    private let file: String
    private let library: String

    /// - Parameter file: says how far the clock is off; read by the process whenever it asks for the time.
    /// - Throws: ``ServerFailure`` where libfaketime is not installed.
    public init(file: String) throws {
        let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
        let candidates = folders.map { "\($0)/faketime/libfaketime.so.1" }
        guard let library = candidates.first(where: { access($0, R_OK) == 0 }) else {
            throw ServerFailure(
                "libfaketime is not installed: install the package faketime")
        }
        self.file = file
        self.library = library
        try turn(by: 0)
    }

    /// What to start a program through.
    ///
    /// - Parameter allocator: a library whose `malloc` comes before the program's own: jemalloc asks for the time while
    ///   libfaketime, which needs memory for reading the file, is answering that question.
    public func wrapper(allocator: String? = nil) -> [String] {
        [
            "env", "LD_PRELOAD=\(([library] + [allocator].compactMap { $0 }).joined(separator: ":"))",
            "FAKETIME_TIMESTAMP_FILE=\(file)", "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "DONT_FAKE_MONOTONIC=1",
            // The library sets a variable in the first program that it meets, which moves the environment; a Swift
            // program finds its arguments beside the environment, and would have none. So env is the first.
            "env",
        ]
    }

    /// For programs that bring jemalloc.
    public static let systemAllocator = "libc.so.6"

    /// - Parameter seconds: how far ahead of the right time; negative: behind.
    public func turn(by seconds: Int) throws {
        // Replaced in one step, so that the process never reads half of it.
        let draft = file + ".new"
        try TextFile.write("\(seconds < 0 ? "" : "+")\(seconds)\n", to: draft)
        guard rename(draft, file) == 0 else { throw ServerFailure("cannot write \(file)") }
    }

    /// Removes what the library has left of a program that was killed.
    public static func forget(_ pid: Int32?) {
        guard let pid else { return }
        for name in ["faketime_shm_\(pid)", "sem.faketime_sem_\(pid)"] { unlink("/dev/shm/\(name)") }
    }
}
