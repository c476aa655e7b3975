import Glibc

/// Where the program under test is.
public enum PerennialBinary {
    /// - Parameter path: as given on the command line; nil: beside this program.
    /// - Throws: ``ServerFailure`` unless there is an executable file.
    public static func locate(_ path: String?) throws(ServerFailure) -> String {
        let candidate: String
        if let path {
            candidate = path
        } else {
            guard let own = ownPath(), let slash = own.lastIndex(of: "/") else {
                throw ServerFailure("cannot tell where this program is: name the binary with --perennial")
            }
            candidate = own[...slash] + "perennial"
        }
        guard access(candidate, X_OK) == 0 else {
            throw ServerFailure(
                "there is no executable \(candidate): build the product perennial in the same configuration, or name "
                    + "it with --perennial")
        }
        guard let absolute = realpath(candidate, nil) else { return candidate }
        defer { free(absolute) }
        return String(cString: absolute)
    }

    /// The one that was built beside a test bundle or a program, some folders above it.
    ///
    /// - Throws: ``ServerFailure`` where there is none.
    public static func locate(besides program: String) throws(ServerFailure) -> String {
        var directory = program[...]
        for _ in 0..<6 {
            guard let slash = directory.lastIndex(of: "/") else { break }
            directory = directory[..<slash]
            let candidate = "\(directory)/perennial"
            // A folder of that name can be "executed" too.
            if let folder = opendir(candidate) {
                closedir(folder)
            } else if access(candidate, X_OK) == 0 {
                return candidate
            }
        }
        throw ServerFailure("there is no binary perennial beside \(program): build the product first")
    }

    private static func ownPath() -> String? {
        guard let path = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }
}
