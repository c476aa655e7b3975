import FoundationEssentials
import PerennialServers

/// The fleet's events, as they stand in Redis.
actor EventLog {
    struct Event: Sendable {
        var type: String
        var account: String
        var provider: String
        var cause: String?
    }

    private let redis: RedisServer
    private var events: [Event] = []
    private var last = "-"

    init(redis: RedisServer) { self.redis = redis }

    /// All events of an account so far, oldest first.
    func events(of account: String) async throws -> [Event] {
        try await readOn()
        return events.filter { $0.account == account }
    }

    /// All events of a provider and its accounts so far, oldest first.
    func events(ofProvider provider: String) async throws -> [Event] {
        try await readOn()
        return events.filter { $0.provider == provider }
    }

    private func readOn() async throws {
        let from = last == "-" ? last : "(\(last)"
        let text = try await redis.ask("--json", "XRANGE", "perennial:{0}:events", from, "+", timeout: .seconds(20))
        for entry in try JSONDecoder().decode([Entry].self, from: Data(text.utf8)) {
            // Another reader may have been here while redis-cli ran.
            guard isNew(entry.id) else { continue }
            last = entry.id
            events.append(
                Event(
                    type: entry.fields["type"] ?? "", account: entry.fields["account"] ?? "",
                    provider: entry.fields["provider"] ?? "", cause: entry.fields["cause"]))
        }
    }

    private func isNew(_ id: String) -> Bool {
        func parts(_ id: String) -> [UInt64] { id.split(separator: "-").map { UInt64($0) ?? 0 } }
        return last == "-" || parts(last).lexicographicallyPrecedes(parts(id))
    }

    /// An entry of a stream: its id, and names and values in turn.
    private struct Entry: Decodable {
        var id: String
        var fields: [String: String] = [:]

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            id = try container.decode(String.self)
            let words = try container.decode([String].self)
            for index in stride(from: 0, to: words.count - 1, by: 2) { fields[words[index]] = words[index + 1] }
        }
    }
}
