import RefreshCore

/// A point in time in UTC, written as strftime(3) would in the C locale.
enum MomentFormat {
    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    private static let known = "%Y %m %d %e %j %H %I %M %S %L (milliseconds) %p %y %a %A %b %B %F %T %s %z %Z %%"

    /// Why `format` cannot be used; nil where it can.
    static func problem(in format: String) -> String? {
        var rest = format[...]
        while let percent = rest.firstIndex(of: "%") {
            rest = rest[percent...].dropFirst()
            guard let letter = rest.popFirst() else { return "the time format ends in %: write %% for a percent sign" }
            if field(letter, Calendar(WallTime(milliseconds: 0))) == nil {
                return "the time format has %\(letter): there are \(known)"
            }
        }
        return nil
    }

    /// What is no field stays as it is written.
    static func text(_ moment: WallTime, _ format: String) -> String {
        let calendar = Calendar(moment)
        var result = ""
        var rest = format[...]
        while let percent = rest.firstIndex(of: "%") {
            result += rest[..<percent]
            rest = rest[percent...].dropFirst()
            guard let letter = rest.popFirst() else { return result + "%" }
            result += field(letter, calendar) ?? "%\(letter)"
        }
        return result + rest
    }

    private static func field(_ letter: Character, _ time: Calendar) -> String? {
        func digits(_ number: Int, _ width: Int, pad: Character = "0") -> String {
            let text = String(number)
            return String(repeating: pad, count: max(0, width - text.count)) + text
        }
        return switch letter {
        case "Y": digits(time.year, 4)
        case "y": digits(((time.year % 100) + 100) % 100, 2)
        case "m": digits(time.month, 2)
        case "d": digits(time.day, 2)
        case "e": digits(time.day, 2, pad: " ")
        case "j": digits(time.dayOfYear, 3)
        case "H": digits(time.hour, 2)
        case "I": digits((time.hour + 11) % 12 + 1, 2)
        case "M": digits(time.minute, 2)
        case "S": digits(time.second, 2)
        case "L": digits(time.millisecond, 3)
        case "p": time.hour < 12 ? "AM" : "PM"
        case "a": String(days[time.weekday].prefix(3))
        case "A": days[time.weekday]
        case "b", "h": String(months[time.month - 1].prefix(3))
        case "B": months[time.month - 1]
        case "F": "\(digits(time.year, 4))-\(digits(time.month, 2))-\(digits(time.day, 2))"
        case "T": "\(digits(time.hour, 2)):\(digits(time.minute, 2)):\(digits(time.second, 2))"
        case "s": String(time.epoch)
        case "z": "+0000"
        case "Z": "UTC"
        case "%": "%"
        default: nil
        }
    }

    /// A moment taken apart in the proleptic Gregorian calendar.
    private struct Calendar {
        let epoch: Int64
        let year: Int
        let month: Int
        let day: Int
        let dayOfYear: Int
        /// From Sunday, 0.
        let weekday: Int
        let hour: Int
        let minute: Int
        let second: Int
        let millisecond: Int

        init(_ moment: WallTime) {
            // The years ±100,000: far beyond any clock, and no number below can overflow.
            let bound: Int64 = 3_155_000_000_000_000
            let milliseconds = min(max(moment.milliseconds, -bound), bound)
            epoch = Self.floorDivided(milliseconds, 1000)
            millisecond = Int(milliseconds - epoch * 1000)
            let days = Self.floorDivided(epoch, 86_400)
            let rest = Int(epoch - days * 86_400)
            (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
            weekday = Int(((days + 4) % 7 + 7) % 7)
            // Eras of 400 years that begin on 1 March (Hinnant, "chrono-compatible low-level date algorithms").
            let shifted = days + 719_468
            let era = Self.floorDivided(shifted, 146_097)
            let ofEra = Int(shifted - era * 146_097)
            let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
            let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
            let shiftedMonth = (5 * ofYear + 2) / 153
            day = ofYear - (153 * shiftedMonth + 2) / 5 + 1
            let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
            let year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1]
            dayOfYear = before + day + (isLeap && month > 2 ? 1 : 0)
            (self.month, self.year) = (month, year)
        }

        private static func floorDivided(_ number: Int64, _ divisor: Int64) -> Int64 {
            number >= 0 ? number / divisor : -((-number + divisor - 1) / divisor)
        }
    }
}
