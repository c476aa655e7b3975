import RefreshCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An open, locked journal file: plain system calls, so that what was written and synced is certain.
///
/// Not thread-safe: one owner at a time, at first the directory and then the journal's disk queue.
final class JournalFile {
    let path: String
    private var descriptor: CInt
    private(set) var size: Int

    /// Opens and locks the file, creating it with mode 0600. Nil when another process holds it.
    ///
    /// - Throws: ``JournalError`` naming the path and the system's reason.
    static func open(path: String) throws(JournalError) -> sending JournalFile? {
        while true {
            #if canImport(Darwin)
                let descriptor = Darwin.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            #elseif canImport(Musl)
                let descriptor = Musl.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            #else
                let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            #endif
            guard descriptor >= 0 else { throw JournalError("journal \(path) cannot be opened: \(reason())") }
            guard lock(descriptor) else {
                close(descriptor)
                return nil
            }
            // Between opening and locking another process may have adopted and removed the file.
            var opened = stat()
            var named = stat()
            guard fstat(descriptor, &opened) == 0, stat(path, &named) == 0, opened.st_ino == named.st_ino else {
                close(descriptor)
                continue
            }
            return JournalFile(path: path, descriptor: descriptor, size: Int(opened.st_size))
        }
    }

    /// Whoever only looks holds a shared lock for a moment (``look(path:)``): one more try sees whether that was all.
    private static func lock(_ descriptor: CInt) -> Bool {
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
        usleep(2000)
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }

    /// The bytes of a file, and whether a process has it open. Nil when there is no such file.
    ///
    /// - Throws: ``JournalError`` naming the path and the system's reason.
    static func look(path: String) throws(JournalError) -> (bytes: [UInt8], isHeld: Bool)? {
        #if canImport(Darwin)
            let descriptor = Darwin.open(path, O_RDONLY | O_CLOEXEC)
        #elseif canImport(Musl)
            let descriptor = Musl.open(path, O_RDONLY | O_CLOEXEC)
        #else
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        #endif
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw JournalError("journal \(path) cannot be opened: \(reason())")
        }
        let isHeld = flock(descriptor, LOCK_SH | LOCK_NB) != 0
        if !isHeld { flock(descriptor, LOCK_UN) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            close(descriptor)
            throw JournalError("journal \(path) cannot be read: \(reason())")
        }
        return (try JournalFile(path: path, descriptor: descriptor, size: Int(status.st_size)).readAll(), isHeld)
    }

    private init(path: String, descriptor: CInt, size: Int) {
        self.path = path
        self.descriptor = descriptor
        self.size = size
    }

    deinit { close(descriptor) }

    func readAll() throws(JournalError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        var offset = 0
        while offset < size {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + offset }, size - offset, off_t(offset))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw JournalError("journal \(path) cannot be read: \(Self.reason())") }
            if count == 0 { break }
            offset += count
        }
        return Array(bytes.prefix(offset))
    }

    /// Writes at the end; after a failed write the file is cut back to where it was.
    func append(_ bytes: [UInt8]) throws(JournalError) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                write(descriptor, buffer.baseAddress.map { $0 + offset }, bytes.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = JournalError("journal \(path) cannot be written: \(Self.reason())")
                _ = ftruncate(descriptor, off_t(size))
                throw error
            }
            offset += count
        }
        size += bytes.count
    }

    /// Returns once everything written is on the disk.
    func sync() throws(JournalError) {
        while fsync(descriptor) != 0 {
            if errno == EINTR { continue }
            throw JournalError("journal \(path) cannot be synced: \(Self.reason())")
        }
    }

    /// Puts `bytes` in the place of everything written so far, at once or not at all; on disk when it returns.
    func replace(with bytes: [UInt8]) throws(JournalError) {
        let draftPath = path + ".new"
        unlink(draftPath)
        guard let draft = try Self.open(path: draftPath) else {
            throw JournalError("journal \(draftPath) is in use by another process")
        }
        do {
            try draft.append(bytes)
            try draft.sync()
        } catch {
            draft.remove()
            throw error
        }
        // The lock goes with the file, so the name is never without one.
        guard rename(draftPath, path) == 0 else {
            let error = JournalError("journal \(path) cannot be replaced: \(Self.reason())")
            draft.remove()
            throw error
        }
        if let slash = path.lastIndex(of: "/") { Self.syncDirectory(String(path[..<slash])) }
        swap(&descriptor, &draft.descriptor)
        size = bytes.count
    }

    func truncate(to length: Int) throws(JournalError) {
        guard ftruncate(descriptor, off_t(length)) == 0 else {
            throw JournalError("journal \(path) cannot be cut: \(Self.reason())")
        }
        size = length
    }

    func remove() {
        unlink(path)
    }

    /// Renames the file, so that what could not be read of it is still there for a person.
    ///
    /// - Throws: ``JournalError`` naming the path and the system's reason.
    func setAside() throws(JournalError) {
        for number in 1...1000 {
            let name = "\(path).damaged-\(number)"
            guard access(name, F_OK) != 0 else { continue }
            guard rename(path, name) == 0 else {
                throw JournalError("journal \(path) cannot be renamed: \(Self.reason())")
            }
            return
        }
        throw JournalError("journal \(path) is damaged, and there are too many damaged ones beside it already")
    }

    /// Makes the names in a directory durable.
    static func syncDirectory(_ path: String) {
        #if canImport(Darwin)
            let descriptor = Darwin.open(path, O_RDONLY | O_CLOEXEC)
        #elseif canImport(Musl)
            let descriptor = Musl.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        #else
            let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        #endif
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    static func reason() -> String { String(cString: strerror(errno)) }
}
