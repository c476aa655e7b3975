import Glibc

/// A temporary directory with a short path: a socket in it may have at most 107 bytes.
enum ShortDirectory {
    /// Nil when it cannot be made. Its maker removes it.
    static func make(prefix: String) -> String? {
        // mkdtemp replaces the six letters.
        var path = Array("/tmp/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&path) != nil else { return nil }
        return String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
