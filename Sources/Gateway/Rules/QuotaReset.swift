import JSONText
public import Providers
public import RefreshCore

/// Where an upstream says when a quota is there again, besides `Retry-After`.
public struct QuotaReset: Sendable, Hashable {
    /// Names of headers.
    public var headers: [String] = []
    /// Places in a JSON body.
    public var pointers: [JSONPointer] = []

    /// Later ends are cut to this.
    public static let longest: Duration = .seconds(31 * 86_400)

    public init(headers: [String] = [], pointers: [JSONPointer] = []) {
        self.headers = headers
        self.pointers = pointers
    }

    /// The first that is there, can be read and is still to come; nil where none is.
    public func end(headers: [HeaderField], body: [UInt8], now: WallTime) -> WallTime? {
        for name in self.headers {
            let value = AnswerHeaders.value(name.lowercased(), in: headers)
            if let end = value.flatMap({ Self.time($0, now: now) }), end > now { return end }
        }
        guard !pointers.isEmpty, let document = try? JSONReader.parse(body, .lenient, maximumDepth: 64) else {
            return nil
        }
        for pointer in pointers {
            let value = pointer.value(in: document).flatMap(\.scalarText)
            if let end = value.flatMap({ Self.time($0, now: now) }), end > now { return end }
        }
        return nil
    }

    /// A number of seconds from now, or since 1970 (in ms where it is that large); a date as HTTP or RFC 3339 has it; or a
    /// duration such as `1h2m3.5s`, `500ms`.
    static func time(_ text: String, now: WallTime) -> WallTime? {
        let text = text.trimmingBlanks
        guard (1...64).contains(text.utf8.count) else { return nil }
        guard
            let end = seconds(text, now: now) ?? Timestamp.rfc3339(text) ?? Timestamp.httpDate(text)
                ?? lasting(text, now)
        else { return nil }
        return min(max(end, now), now + longest)
    }

    private static func seconds(_ text: String, now: WallTime) -> WallTime? {
        guard let first = text.utf8.first, (0x30...0x39).contains(first),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }), let number = Double(text)
        else { return nil }
        switch number {
        case 1e11..<1e14: return WallTime(milliseconds: Int64(number))
        case 1e9..<1e11: return WallTime(milliseconds: Int64(number * 1000))
        case 0..<1e9: return now + .milliseconds(Int64(number * 1000))
        default: return nil
        }
    }

    private static func lasting(_ text: String, _ now: WallTime) -> WallTime? {
        var milliseconds = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let number = Double(digits) else { return nil }
            rest = rest[digits.endIndex...]
            let unit = rest.prefix { $0.isLetter }
            rest = rest[unit.endIndex...]
            switch unit {
            case "ms": milliseconds += number
            case "s": milliseconds += number * 1000
            case "m": milliseconds += number * 60_000
            case "h": milliseconds += number * 3_600_000
            case "d": milliseconds += number * 86_400_000
            default: return nil
            }
        }
        return milliseconds < 1e12 ? now + .milliseconds(Int64(milliseconds)) : nil
    }
}
