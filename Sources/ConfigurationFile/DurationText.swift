/// Durations as the configuration writes them: a whole or decimal number and its unit, `500ms`, `1.5s`, `5m`, `1h`, `2d`.
public enum DurationText {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// Nil for anything else: no unit, a sign, a second number, more than three decimals or ten digits.
    public static func parse(_ text: String) -> Duration? {
        guard let unit = units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
        let number = text.dropLast(unit.suffix.count)
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = digits(parts[0], atMost: 10) else { return nil }
        var milliseconds = whole * unit.milliseconds
        if parts.count == 2 {
            guard unit.milliseconds > 1, let fraction = digits(parts[1], atMost: 3) else { return nil }
            let scale: Int64 = [10, 100, 1000][parts[1].utf8.count - 1]
            milliseconds += fraction * unit.milliseconds / scale
        }
        return .milliseconds(milliseconds)
    }

    private static func digits(_ text: Substring, atMost count: Int) -> Int64? {
        guard (1...count).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }

    /// The shortest text that reads as this duration, to the millisecond.
    public static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        if overflow { return "\(seconds)s" }
        let milliseconds = product + attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0s" }
        for unit in units.reversed() where milliseconds % unit.milliseconds == 0 {
            return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
        }
        return "\(milliseconds)ms"
    }
}
