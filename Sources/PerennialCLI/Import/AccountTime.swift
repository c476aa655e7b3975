import Providers
import RefreshCore

/// Times as people and other programs write them.
enum AccountTime {
    /// RFC 3339, or seconds since 1970; nil for anything else.
    static func parse(_ text: String) -> WallTime? {
        if let seconds = Double(text) {
            // The years 1970 to 9999: anything else is a mistake (milliseconds, most of the time).
            guard seconds >= 0, seconds < 253_402_300_800 else { return nil }
            return WallTime(seconds: seconds)
        }
        return Timestamp.rfc3339(text)
    }
}
