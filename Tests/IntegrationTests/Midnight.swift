#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A day ends at midnight UTC, and what may be had once a day may then be had again.
enum Midnight {
    /// Waits until it is over where it is near.
    static func keepAway() async throws {
        let left = 86_400 - Date.now.timeIntervalSince1970.truncatingRemainder(dividingBy: 86_400)
        if left < 120 { try await Task.sleep(for: .seconds(left + 1)) }
    }
}
