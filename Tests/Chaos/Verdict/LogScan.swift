import FoundationEssentials
import PerennialServers

/// What the instances have said of themselves.
struct LogScan: Sendable {
    /// A spend that an instance has announced as the one re-send of a refresh token whose first answer is missing.
    struct Recovery: Sendable, Hashable {
        var account: String
        var generation: Int
    }

    /// How often each re-send was announced.
    private(set) var recoveries: [Recovery: Int] = [:]
    /// Lines by level.
    private(set) var levels: [String: Int] = [:]
    /// The first lines of the level `critical`, and lines that are none of the log's: a crash leaves such.
    private(set) var alarms: [String] = []

    private struct Line: Decodable {
        var level: String
        var message: String
        var fields: [String: String]?
    }

    init(files: [String]) {
        let decoder = JSONDecoder()
        for file in files {
            for text in (TextFile.read(file) ?? "").split(separator: "\n") {
                guard let line = try? decoder.decode(Line.self, from: Data(text.utf8)) else {
                    alarm(String(text))
                    continue
                }
                levels[line.level, default: 0] += 1
                if line.level == "critical" { alarm(line.message) }
                if line.message.hasPrefix("recovery: sending a refresh token once more"),
                    let account = line.fields?["account"],
                    let generation = line.fields?["generation"].flatMap({ Int($0) })
                {
                    recoveries[Recovery(account: account, generation: generation), default: 0] += 1
                }
            }
        }
    }

    private mutating func alarm(_ text: String) {
        if alarms.count < 20 { alarms.append(text) }
    }
}
