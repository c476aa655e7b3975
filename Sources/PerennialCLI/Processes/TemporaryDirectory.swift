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

/// A private directory with a path short enough for Unix sockets in it.
struct TemporaryDirectory: Sendable {
    /// Longest path of the directory, in bytes: unix(7) leaves 107 for a socket's path.
    static let maximumPathLength = 80

    let path: String

    /// - Parameters:
    ///   - prefix: what its name begins with.
    ///   - base: `TMPDIR`, say; `/tmp` where nil, too long or not a plain absolute path.
    /// - Throws: ``ProcessError``.
    init(prefix: String, in base: String?) throws(ProcessError) {
        let template = Self.template(prefix: prefix, in: base)
        var bytes = Array(template.utf8CString)
        guard mkdtemp(&bytes) != nil else {
            let reason = String(cString: strerror(errno))
            throw ProcessError(description: "cannot make a directory \(template): \(reason); set TMPDIR")
        }
        path = String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func template(prefix: String, in base: String?) -> String {
        var base = Substring(base ?? "")
        while base.count > 1, base.last == "/" { base = base.dropLast() }
        let isPlain =
            base.hasPrefix("/") && base.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"'\\".utf8.contains($0) }
        let template = "\(base)/\(prefix)XXXXXX"
        return isPlain && template.utf8.count <= maximumPathLength ? template : "/tmp/\(prefix)XXXXXX"
    }

    /// Writes a file of mode 0600.
    ///
    /// - Throws: ``ProcessError``.
    func write(_ text: String, to name: String) throws(ProcessError) {
        try PrivateFile.write(text, to: "\(path)/\(name)")
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }
}
