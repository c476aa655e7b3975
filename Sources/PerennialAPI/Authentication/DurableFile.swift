#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Small files that are replaced as a whole and survive a crash at any moment.
enum DurableFile {
    struct Failure: Error {
        var reason: String
        var isMissing = false

        init(_ action: String, _ code: Int32 = errno) {
            self.reason = "\(action): \(String(cString: strerror(code)))"
            self.isMissing = code == ENOENT
        }

        init(reason: String) {
            self.reason = reason
        }
    }

    /// What tells one version of a file from the next.
    struct Stamp: Hashable, Sendable {
        var inode: UInt64
        var size: Int64
        var seconds: Int64
        var nanoseconds: Int64
    }

    /// Nil when there is no such file.
    static func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        #if canImport(Darwin)
            let modified = status.st_mtimespec
        #else
            let modified = status.st_mtim
        #endif
        return Stamp(
            inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: Int64(modified.tv_sec),
            nanoseconds: Int64(modified.tv_nsec))
    }

    static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure("cannot open it") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = chunk.withUnsafeMutableBytes { self.read(file, into: $0) }
            if count == 0 { return bytes }
            guard count > 0 else { throw Failure("cannot read it") }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw Failure(reason: "it has more than \(limit) bytes") }
        }
    }

    /// Writes beside the file, syncs, and renames: a reader sees the old file or the new one, never half of one.
    static func replace(_ path: String, with bytes: [UInt8]) throws(Failure) {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure("cannot create \(temporary)") }
        var isDone = false
        defer { if !isDone { unlink(temporary) } }
        do {
            defer { close(file) }
            var offset = 0
            while offset < bytes.count {
                let count = bytes.withUnsafeBytes {
                    write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset)
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Failure("cannot write \(temporary)") }
                offset += count
            }
            guard fsync(file) == 0 else { throw Failure("cannot sync \(temporary)") }
        }
        guard rename(temporary, path) == 0 else { throw Failure("cannot rename \(temporary)") }
        isDone = true
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let folder = open(directory, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { throw Failure("cannot open \(directory)") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw Failure("cannot sync \(directory)") }
    }

    /// Runs `body` while no other process holds the lock file.
    static func withLock<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure("cannot open the lock file \(path)") }
        defer { close(file) }
        while flock(file, LOCK_EX) != 0 {
            guard errno == EINTR else { throw Failure("cannot lock \(path)") }
        }
        return try body()
    }

    private static func read(_ file: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while true {
            #if canImport(Glibc)
                let count = Glibc.read(file, buffer.baseAddress, buffer.count)
            #elseif canImport(Musl)
                let count = Musl.read(file, buffer.baseAddress, buffer.count)
            #else
                let count = Darwin.read(file, buffer.baseAddress, buffer.count)
            #endif
            if count >= 0 || errno != EINTR { return count }
        }
    }
}
