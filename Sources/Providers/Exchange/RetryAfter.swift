import RefreshCore

/// `Retry-After` (RFC 9110 §10.2.3).
enum RetryAfter {
    /// Longer pauses of a token endpoint are cut to this.
    static let longest: Duration = .seconds(86_400)
    /// Quotas of APIs may be those of a month.
    static let longestOfQuota: Duration = .seconds(31 * 86_400)

    /// Seconds or a date, which counts from the answer's own `Date` where it has one; nil when it is absent or malformed.
    static func duration(
        _ headers: [RawTokenResponse.Header], asked: WallTime, longest: Duration = Self.longest
    ) -> Duration? {
        func value(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name }?.value.trimmingBlanks
        }
        guard let text = value("retry-after"), !text.isEmpty else { return nil }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // More digits than fit are a long time.
            return min(.seconds(Int64(text.prefix(9)) ?? 0), longest)
        }
        guard let date = Timestamp.httpDate(text) else { return nil }
        let now = value("date").flatMap { Timestamp.httpDate($0) } ?? asked
        return min(max(date - now, .zero), longest)
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        let start = self.drop(while: isBlank)
        return String(start.reversed().drop(while: isBlank).reversed())
    }
}
