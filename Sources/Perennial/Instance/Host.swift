import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// This machine and process.
enum Host {
    static var name: String { ProcessInfo.processInfo.hostName }

    static var environment: [String: String] { ProcessInfo.processInfo.environment }

    static var wallTime: WallTime {
        WallTime(seconds: Date().timeIntervalSince1970)
    }

    /// A name for a journal of one's own: the host's, and enough at random to be unique over the fleet.
    static func instanceName(of host: String, isCommand: Bool) -> String {
        let allowed = host.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }.prefix(40)
        let suffix = String(UInt32.random(in: .min ... .max), radix: 36)
        return (isCommand ? "cli-" : "") + (allowed.isEmpty ? "instance" : String(allowed)) + "-" + suffix
    }
}
