import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The machine's own wall clock: for what has to do with files and people, never for the expiry of tokens.
enum MachineClock {
    static var now: WallTime { WallTime(seconds: Date().timeIntervalSince1970) }

    static func text(_ time: WallTime?) -> String {
        guard let time else { return "-" }
        return Date(timeIntervalSince1970: Double(time.milliseconds) / 1000).formatted(.iso8601)
    }

    /// How far away a time is, in one or two units: `in 4 min 10 s`, `2 h ago`.
    static func distance(to time: WallTime?, from now: WallTime) -> String {
        guard let time else { return "-" }
        let seconds = (time - now).wholeMilliseconds / 1000
        let text = span(abs(seconds))
        return seconds < 0 ? "\(text) ago" : "in \(text)"
    }

    static func span(_ seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3600: seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        default: "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
        }
    }
}
