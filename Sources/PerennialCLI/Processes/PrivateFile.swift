#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Files that only their owner may read.
enum PrivateFile {
    /// Replaces or makes a file of mode 0600.
    ///
    /// - Throws: ``ProcessError``.
    static func write(_ text: String, to path: String) throws(ProcessError) {
        func failure() -> ProcessError {
            ProcessError(description: "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure() }
        defer { close(file) }
        // An existing file keeps its mode otherwise.
        guard fchmod(file, 0o600) == 0 else { throw failure() }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { DescriptorIO.write(file, $0) }
            if written == -1, errno == EINTR { continue }
            guard written > 0 else { throw failure() }
            bytes = bytes.dropFirst(written)
        }
    }

    /// The last lines of a file as far as it can be read, for messages about a process that has failed.
    static func tail(of path: String, lines: Int) -> String {
        guard let data = FileManager.default.contents(atPath: path) else { return "" }
        let text = String(decoding: data.suffix(lines * 500), as: UTF8.self)
        return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}

/// write(2) under a name that does not clash with the methods around it.
enum DescriptorIO {
    static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}
