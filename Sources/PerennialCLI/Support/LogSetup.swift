import Logging
import PerennialConfiguration

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The log on stderr: one readable line an event, or one JSON object.
enum LogSetup {
    static func logger(level: LogLevel, format: LogFormat) -> Logger {
        var logger = Logger(label: "perennial") { _ in
            switch format {
            case .text: LineLogHandler(encode: LineLogHandler.text)
            case .json: LineLogHandler(encode: LineLogHandler.json)
            }
        }
        logger.logLevel = Logger.Level(rawValue: level.rawValue) ?? .info
        return logger
    }
}

struct LineLogHandler: LogHandler {
    struct Line {
        var time: Date
        var level: Logger.Level
        var message: String
        var metadata: [(key: String, value: String)]
    }

    let encode: @Sendable (Line) -> String
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    init(encode: @escaping @Sendable (Line) -> String) {
        self.encode = encode
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let line = Line(
            time: Date(), level: event.level, message: "\(event.message)",
            metadata: all.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") })
        Terminal.standardError(encode(line))
    }

    /// Line ends and other control characters in a value cannot forge a second event.
    private static func flat(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) })
    }

    static func text(_ line: Line) -> String {
        var text = "\(line.time.formatted(.iso8601)) \(line.level.rawValue) \(flat(line.message))"
        for (key, value) in line.metadata { text += " \(key)=\(flat(value))" }
        return text
    }

    private struct Form: Encodable {
        var time: String
        var level: String
        var message: String
        var fields: [String: String]?
    }

    static func json(_ line: Line) -> String {
        let form = Form(
            time: line.time.formatted(.iso8601), level: line.level.rawValue, message: line.message,
            fields: line.metadata.isEmpty
                ? nil : Dictionary(line.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(form) else { return "{\"level\":\"\(line.level.rawValue)\"}" }
        return String(decoding: data, as: UTF8.self)
    }
}
