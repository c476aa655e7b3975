import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An event as JSON: `id`, `type`, `timestamp` (RFC 3339) and `data`.
public struct EventDocument: Encodable, Sendable, Hashable {
    /// A field of `data` as what it is.
    public enum Value: Encodable, Sendable, Hashable, CustomStringConvertible {
        case text(String)
        case number(Int64)
        case flag(Bool)

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            case .flag(let flag): try container.encode(flag)
            }
        }

        public var description: String {
            switch self {
            case .text(let text): text
            case .number(let number): String(number)
            case .flag(let flag): String(flag)
            }
        }
    }

    public var id: String
    public var type: String
    public var timestamp: String
    public var data: [String: Value]

    public init(_ event: FleetEvent) {
        id = event.id
        type = event.type
        timestamp = Self.text(event.at)
        data = [:]
        for field in event.fields where !field.value.isEmpty { data[field.name] = Self.value(field) }
    }

    /// Compact, the members in alphabetical order: the same bytes for the same event, every time.
    public var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // A struct of texts, numbers and flags can always be encoded.
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }

    private static let numbers: Set = [
        "generation", "epoch", "failures", "forecast", "budget", "count", "accounts", "available", "pid",
    ]
    private static let times: Set = ["since", "until"]
    private static let flags: Set = ["recovery"]

    private static func value(_ field: FleetEvent.Field) -> Value {
        let (name, text) = (field.name, field.value)
        if numbers.contains(name), let number = Int64(text) { return .number(number) }
        if times.contains(name) || name.hasSuffix("_at"), let milliseconds = Int64(text) {
            return .text(Self.text(WallTime(milliseconds: milliseconds)))
        }
        if flags.contains(name), text == "0" || text == "1" { return .flag(text == "1") }
        return .text(text)
    }

    /// RFC 3339 in UTC, to the millisecond.
    public static func text(_ time: WallTime) -> String {
        // The years 1 to 9999, which the format has room for.
        let milliseconds = min(max(time.milliseconds, -62_135_596_800_000), 253_402_300_799_999)
        return Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
