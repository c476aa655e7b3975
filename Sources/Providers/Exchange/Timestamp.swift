public import RefreshCore

/// Points in time as protocols write them.
public enum Timestamp {
    /// RFC 3339 (`2026-11-21T08:49:37Z`, `2026-11-21 08:49:37.5+01:00`); a time without an offset counts as UTC.
    public static func rfc3339(_ text: String) -> WallTime? {
        var scan = Digits(text)
        guard let year = scan.number(4), scan.skip("-"), let month = scan.number(2), scan.skip("-"),
            let day = scan.number(2), scan.skip("T") || scan.skip("t") || scan.skip(" "),
            let hour = scan.number(2), scan.skip(":"), let minute = scan.number(2), scan.skip(":"),
            let second = scan.number(2)
        else { return nil }
        var milliseconds: Int64 = 0
        if scan.skip(".") {
            guard let fraction = scan.fraction() else { return nil }
            milliseconds = fraction
        }
        guard let offset = scan.offset(), scan.isAtEnd,
            let seconds = epoch(year, month, day, hour, minute, second)
        else { return nil }
        return WallTime(milliseconds: (seconds - offset) * 1000 + milliseconds)
    }

    /// A date in a header (RFC 9110 §5.6.7): IMF-fixdate and the two obsolete forms.
    public static func httpDate(_ text: String) -> WallTime? {
        let words = text.split { " ,-".contains($0) }.map(String.init)
        let day: Int?, month: Int?, year: Int?, time: String
        if words.count == 6, words[5] == "GMT" {
            (day, month, time) = (Int(words[1]), Self.month(words[2]), words[4])
            // Two digits stand for the nearest such year that is not far ahead.
            year = Int(words[3]).map { $0 >= 100 ? $0 : $0 + ($0 < 70 ? 2000 : 1900) }
        } else if words.count == 5 {
            (month, day, time, year) = (Self.month(words[1]), Int(words[2]), words[3], Int(words[4]))
        } else {
            return nil
        }
        var scan = Digits(time)
        guard let year, let month, let day, let hour = scan.number(2), scan.skip(":"), let minute = scan.number(2),
            scan.skip(":"), let second = scan.number(2), scan.isAtEnd,
            let seconds = epoch(year, month, day, hour, minute, second)
        else { return nil }
        return WallTime(milliseconds: seconds * 1000)
    }

    private static let monthNames = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func month(_ name: String) -> Int? {
        monthNames.firstIndex(of: name).map { $0 + 1 }
    }

    /// Seconds since 1970 in the Gregorian calendar; nil where there is no such time. Second 60 is the next minute's 0.
    private static func epoch(
        _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
    ) -> Int64? {
        guard (1...9999).contains(year), (1...12).contains(month), (0...23).contains(hour), (0...59).contains(minute),
            (0...60).contains(second)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...lengths[month - 1]).contains(day) else { return nil }
        let before = year - 1
        let days =
            before * 365 + before / 4 - before / 100 + before / 400
            + lengths[..<(month - 1)].reduce(0, +) + day - 1 - 719_162
        return Int64(days * 86_400 + hour * 3600 + minute * 60 + second)
    }
}

/// Reads numbers of fixed width from a text.
private struct Digits {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = text[...].utf8
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        let digits = rest.prefix(width)
        guard digits.count == width, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        rest = rest.dropFirst(width)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// One to twelve decimals, in milliseconds rounded down.
    mutating func fraction() -> Int64? {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard (1...12).contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        var padded = Array(digits.prefix(3))
        while padded.count < 3 { padded.append(0x30) }
        return padded.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int64? {
        if rest.isEmpty || skip("Z") || skip("z") { return 0 }
        let sign: Int64
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(2), hours < 24 else { return nil }
        _ = skip(":")
        guard let minutes = number(2), minutes < 60 else { return nil }
        return sign * Int64(hours * 3600 + minutes * 60)
    }
}
