#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Files that nobody but their owner may read.
enum PrivateFile {
    /// Writes a new file with mode 0600, on disk before it gets its name; one that is there already is left alone.
    static func create(_ path: String, contents: String) throws(StartError) {
        // A link, unlike a rename, does not replace what another process was faster to write.
        try draft(path, contents) { draft in link(draft, path) == 0 || errno == EEXIST }
    }

    /// Replaces a file; mode 0600.
    static func replace(_ path: String, contents: String) throws(StartError) {
        try draft(path, contents) { draft in rename(draft, path) == 0 }
    }

    /// Writes a draft beside the file and syncs it; `publish` gives it its name.
    private static func draft(
        _ path: String, _ contents: String, publish: (_ draft: String) -> Bool
    ) throws(StartError) {
        let draft = "\(path).\(getpid())"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        defer { unlink(draft) }
        let bytes = Array(contents.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, publish(draft) else { throw failure(path) }
    }

    /// So that a new name, or that one is gone, outlives a power cut.
    static func syncDirectory(_ path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func failure(_ path: String) -> StartError {
        StartError("\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
}

/// An advisory lock on a file, held for as long as the value lives or the process does.
final class FileLock: Sendable {
    private let descriptor: CInt

    /// - Throws: ``StartError`` when the file cannot be opened.
    init(_ path: String) throws(StartError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StartError("\(path) cannot be opened: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    func takeShared() { while flock(descriptor, LOCK_SH) != 0, errno == EINTR {} }
    func tryExclusive() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }
    func release() { flock(descriptor, LOCK_UN) }
}
