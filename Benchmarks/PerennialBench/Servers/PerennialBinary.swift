import Glibc

/// Where the program under measurement is.
enum PerennialBinary {
    /// - Parameter path: as given on the command line; nil: beside this program.
    /// - Throws: ``BenchError`` unless there is an executable file.
    static func locate(_ path: String?) throws(BenchError) -> String {
        let candidate: String
        if let path {
            candidate = path
        } else {
            guard let own = ownPath(), let slash = own.lastIndex(of: "/") else {
                throw BenchError("cannot tell where this program is: name the binary with --perennial")
            }
            candidate = own[...slash] + "perennial"
        }
        guard access(candidate, X_OK) == 0 else {
            throw BenchError(
                "there is no executable \(candidate): build the product perennial in the same configuration, or name "
                    + "it with --perennial")
        }
        guard let absolute = realpath(candidate, nil) else { return candidate }
        defer { free(absolute) }
        return String(cString: absolute)
    }

    private static func ownPath() -> String? {
        guard let path = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }
}
