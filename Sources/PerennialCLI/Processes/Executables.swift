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

/// Where programs are.
enum Executables {
    /// This program's own file.
    static var own: String {
        #if os(Linux)
            // The resolved path reads better in `ps`; the link still works after the file was replaced.
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink("/proc/self/exe", &buffer, buffer.count)
            if count > 0 {
                let path = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if access(path, X_OK) == 0 { return path }
            }
            return "/proc/self/exe"
        #else
            let name = CommandLine.arguments.first ?? "perennial"
            return name.contains("/") ? name : (find([name], path: ProcessInfo.processInfo.environment["PATH"]) ?? name)
        #endif
    }

    /// The first of these programs that is in a directory of `path`; system directories that a user's `PATH` may lack are
    /// looked through as well.
    static func find(_ names: [String], path: String?) -> String? {
        let directories = (path ?? "").split(separator: ":").map(String.init)
        for name in names {
            for directory in directories + [
                "/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin",
            ] {
                let candidate = "\(directory)/\(name)"
                if access(candidate, X_OK) == 0 { return candidate }
            }
        }
        return nil
    }

    /// The environment without everything that configures Perennial: it would win over a configuration file.
    static func neutralEnvironment(_ environment: [String: String]) -> [String: String] {
        let names: Set = [
            "REDIS_URL", "ENABLE_PROACTIVE_TOKEN_REFRESH", "TOKEN_REFRESH_INTERVAL", "TOKEN_REFRESH_WINDOW",
        ]
        return environment.filter { !names.contains($0.key) && !$0.key.hasPrefix("PERENNIAL_") }
    }
}
