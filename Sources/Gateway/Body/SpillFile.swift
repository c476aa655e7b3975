import NIOConcurrencyHelpers
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file for what is too much for memory: readable by its owner only, and without a name from the start or shortly after,
/// so that nothing is left of it whatever happens to the process. Its input and output block a thread of NIO's pool.
final class SpillFile: Sendable {
    /// Names no file and no directory.
    struct Failure: Error, CustomStringConvertible {
        let description: String

        init(description: String) {
            self.description = description
        }

        /// The last call of the system has failed.
        init(_ action: String) {
            self.init(description: "\(action): \(String(cString: strerror(errno)))")
        }
    }

    let descriptor: CInt
    private let space: SpillSpace
    /// Of `space`.
    private let taken = NIOLockedValueBox<Int64>(0)

    private init(_ descriptor: CInt, in space: SpillSpace) {
        self.descriptor = descriptor
        self.space = space
    }

    static func make(in space: SpillSpace) async throws -> SpillFile {
        try await NIOThreadPool.singleton.runIfActive { SpillFile(try descriptor(in: space.directory), in: space) }
    }

    private static func descriptor(in directory: String) throws(Failure) -> CInt {
        #if os(Linux)
            // __O_TMPFILE, which Swift does not import.
            let unnamed = open(directory, 0o20000000 | O_DIRECTORY | O_RDWR | O_CLOEXEC, 0o600)
            if unnamed >= 0 { return unnamed }
        #endif
        // Mode 0600 by mkstemp(3).
        var template = Array("\(directory)/.request-XXXXXX".utf8CString)
        let named = mkstemp(&template)
        guard named >= 0 else { throw Failure("a file for the request's body cannot be made") }
        unlink(template)
        _ = fcntl(named, F_SETFD, FD_CLOEXEC)
        return named
    }

    deinit {
        close(descriptor)
        space.giveBack(taken.withLockedValue { $0 })
    }

    func write(_ bytes: [UInt8], at offset: Int64) async throws {
        try await NIOThreadPool.singleton.runIfActive { [self] in
            try space.take(bytes.count)
            taken.withLockedValue { $0 += Int64(bytes.count) }
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    pwrite(
                        descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written,
                        off_t(offset) + off_t(written))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Failure("the request's body cannot be kept") }
                written += count
            }
        }
    }

    /// At most `count` bytes; fewer only at the end.
    func read(at offset: Int64, count: Int) async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive { [self] in
            var failed = false
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                filled = 0
                while filled < count {
                    let got = pread(
                        descriptor, buffer.baseAddress.map { $0 + filled }, count - filled,
                        off_t(offset) + off_t(filled))
                    if got < 0, errno == EINTR { continue }
                    failed = got < 0
                    guard got > 0 else { break }
                    filled += got
                }
            }
            if failed { throw Failure("the request's body cannot be read back") }
            return bytes
        }
    }
}
