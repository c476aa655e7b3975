import RefreshCore

/// A point in time to the second in UTC, written and read without a formatter: the warm token read writes one each.
struct Timestamp: Sendable, Hashable {
    /// Seconds since 1970, within the years 0 to 9999.
    let seconds: Int64

    /// Rounded down, so that a token never seems to last longer than it does.
    init(_ time: WallTime) {
        let (quotient, remainder) = time.milliseconds.quotientAndRemainder(dividingBy: 1000)
        let floor = remainder < 0 ? quotient - 1 : quotient
        self.seconds = min(max(floor, -62_167_219_200), 253_402_300_799)
    }

    init?(_ time: WallTime?) {
        guard let time else { return nil }
        self.init(time)
    }

    /// The date in the proleptic Gregorian calendar, counted from the 1st of March so that leap days come last.
    private var date: (year: Int, month: Int, day: Int) {
        let days = Int((seconds - secondOfDay) / 86_400) + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private var secondOfDay: Int64 {
        let rest = seconds % 86_400
        return rest < 0 ? rest + 86_400 : rest
    }

    /// `2026-11-21T09:03:40Z` (RFC 3339).
    func append(to bytes: inout [UInt8]) {
        let (year, month, day) = date
        Self.append(year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(month, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        appendClock(to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// `Sat, 21 Nov 2026 09:03:40 GMT` (RFC 9110 §5.6.7).
    func appendHTTPDate(to bytes: inout [UInt8]) {
        let (year, month, day) = date
        let daysSinceThursday = Int((seconds - secondOfDay) / 86_400) % 7
        let weekday = (daysSinceThursday + 7) % 7
        bytes.append(contentsOf: ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][weekday].utf8)
        bytes.append(contentsOf: ", ".utf8)
        Self.append(day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        bytes.append(contentsOf: months[month - 1].utf8)
        bytes.append(UInt8(ascii: " "))
        Self.append(year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        appendClock(to: &bytes)
        bytes.append(contentsOf: " GMT".utf8)
    }

    private func appendClock(to bytes: inout [UInt8]) {
        let rest = Int(secondOfDay)
        Self.append(rest / 3600, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(rest / 60 % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(rest % 60, digits: 2, to: &bytes)
    }

    private static func append(_ value: Int, digits: Int, to bytes: inout [UInt8]) {
        var divisor = digits == 4 ? 1000 : 10
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    /// Reads `2026-11-21T09:03:40.5+01:00` (RFC 3339 §5.6); nil for anything else.
    static func parse(_ text: String) -> WallTime? {
        var rest = text.utf8[...]
        func number(_ digits: Int, upTo limit: Int) -> Int? {
            guard rest.count >= digits else { return nil }
            var value = 0
            for byte in rest.prefix(digits) {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            rest = rest.dropFirst(digits)
            return value <= limit ? value : nil
        }
        func skip(_ characters: UInt8...) -> Bool {
            guard let first = rest.first, characters.contains(first) else { return false }
            rest = rest.dropFirst()
            return true
        }
        let isLeap: (Int) -> Bool = { $0 % 4 == 0 && ($0 % 100 != 0 || $0 % 400 == 0) }
        guard let year = number(4, upTo: 9999), skip(0x2d), let month = number(2, upTo: 12), month > 0, skip(0x2d),
            let day = number(2, upTo: 31), day > 0, skip(0x54, 0x74), let hour = number(2, upTo: 23), skip(0x3a),
            let minute = number(2, upTo: 59), skip(0x3a), let second = number(2, upTo: 60)
        else { return nil }
        let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        var milliseconds = 0
        if skip(0x2e) {
            let fraction = rest.prefix { (0x30...0x39).contains($0) }
            guard !fraction.isEmpty, fraction.count <= 9 else { return nil }
            for index in 0..<3 {
                milliseconds = milliseconds * 10 + Int(fraction.dropFirst(index).first.map { $0 - 0x30 } ?? 0)
            }
            rest = rest.dropFirst(fraction.count)
        }
        var offset = 0
        if !skip(0x5a, 0x7a) {
            let isEast = rest.first == 0x2b
            guard skip(0x2b, 0x2d), let hours = number(2, upTo: 23), skip(0x3a), let minutes = number(2, upTo: 59)
            else { return nil }
            offset = (hours * 60 + minutes) * (isEast ? 60 : -60)
        }
        guard rest.isEmpty else { return nil }
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        return WallTime(milliseconds: Int64(seconds) * 1000 + Int64(milliseconds))
    }
}
