#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The file of a Unix socket: cleared of what a killed process left, private to its owner, removed at the end.
struct UnixSocketFile: Sendable {
    let path: String
    private let inode: ino_t

    /// Makes room for a socket at `path`. A socket file is removed only if nobody answers on it.
    static func clear(_ path: String) throws(ListenError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        let address = ListenAddress.unix(path: path)
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ListenError(address, "there is a file at this path that is not a socket: choose another one")
        }
        guard !isAnswered(path) else {
            throw ListenError(address, "another process listens there: stop it, or choose another path")
        }
        unlink(path)
    }

    /// The socket that was just bound; from here on only its owner may connect.
    init(bound path: String) throws(ListenError) {
        var status = stat()
        guard chmod(path, 0o600) == 0, lstat(path, &status) == 0 else {
            throw ListenError(.unix(path: path), "the mode of the socket cannot be set")
        }
        self.path = path
        self.inode = status.st_ino
    }

    /// Removes the file, unless another process has put its own there meanwhile.
    func remove() {
        var status = stat()
        if lstat(path, &status) == 0, status.st_ino == inode { unlink(path) }
    }

    private static func isAnswered(_ path: String) -> Bool {
        #if canImport(Glibc)
            let stream = Int32(SOCK_STREAM.rawValue)
        #else
            let stream = SOCK_STREAM
        #endif
        let probe = socket(AF_UNIX, stream, 0)
        guard probe >= 0 else { return true }
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return true }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Only "connection refused" says that nobody is there; anything else leaves the file alone.
        return result == 0 || errno != ECONNREFUSED
    }
}
