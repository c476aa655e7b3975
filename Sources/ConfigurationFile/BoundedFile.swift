#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Reads small files that people name in a configuration: whatever the path turns out to be, no more than `limit` bytes
/// of it are read.
public enum BoundedFile {
    /// Why a file could not be read.
    public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// - Parameter limit: in bytes; a file with more is refused.
    public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw Failure(description: "\"\(path)\" is not a path") }
        // "e" closes the descriptor on exec, so that a child process does not inherit a secret.
        guard let file = fopen(path, "re") else { throw failure(path) }
        defer { fclose(file) }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            bytes.append(contentsOf: chunk[..<count])
            if bytes.count > limit {
                throw Failure(description: "\(path) is larger than \(limit) bytes")
            }
            if count < chunk.count {
                if ferror(file) != 0 { throw failure(path) }
                return bytes
            }
        }
    }

    /// The text of a file that holds one secret: UTF-8, without the line end that editors add.
    public static func readSecret(_ path: String, limit: Int = 64 * 1024) throws(Failure) -> String {
        var bytes = try read(path, limit: limit)
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else { throw Failure(description: "\(path) is empty") }
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw Failure(description: "\(path) is not UTF-8 text")
        }
        return text
    }

    private static func failure(_ path: String) -> Failure {
        Failure(description: "cannot read \(path): \(String(cString: strerror(errno)))")
    }
}
