import FoundationEssentials
import Glibc

/// Makes a program that starts whole fleets ready for that, before it starts anything.
public enum ProcessPreparation {
    /// What all children inherit: many files, and no setting of Perennial from outside, which would change what is
    /// tried or measured.
    public static func run() {
        var limit = rlimit()
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        if getrlimit(files, &limit) == 0 {
            limit.rlim_cur = limit.rlim_max
            _ = setrlimit(files, &limit)
        }
        let foreign = ["REDIS_URL", "ENABLE_PROACTIVE_TOKEN_REFRESH"]
        for name in ProcessInfo.processInfo.environment.keys
        where foreign.contains(name) || name.hasPrefix("PERENNIAL_") || name.hasPrefix("TOKEN_REFRESH_") {
            unsetenv(name)
        }
        signal(SIGPIPE, SIG_IGN)
    }
}
