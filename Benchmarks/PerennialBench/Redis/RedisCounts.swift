import Logging
import RedisClient

/// What Redis says it has executed, by command (`INFO commandstats`), commands inside scripts included.
struct RedisCounts: Sendable, Equatable {
    /// Lower case; without what reading the counts costs itself.
    var calls: [String: Int] = [:]
    var failedCalls: [String: Int] = [:]

    /// - Parameter ignored: commands that are the measurement's own.
    init(info: String, ignoring ignored: Set<String> = ["info", "config|resetstat", "ping"]) {
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = String(line[..<colon].dropFirst("cmdstat_".count))
            guard !ignored.contains(name) else { continue }
            for field in line[line.index(after: colon)...].split(separator: ",") {
                let parts = field.split(separator: "=")
                guard parts.count == 2, let value = Int(parts[1]) else { continue }
                if parts[0] == "calls" { calls[name] = value }
                if parts[0] == "failed_calls", value > 0 { failedCalls[name] = value }
            }
        }
    }

    subscript(_ command: String) -> Int { calls[command] ?? 0 }

    var total: Int { calls.values.reduce(0, +) }

    /// Scripts that ran: an `EVALSHA` that was answered NOSCRIPT did not.
    var scripts: Int {
        self["evalsha"] + self["eval"] - (failedCalls["evalsha"] ?? 0) - (failedCalls["eval"] ?? 0)
    }

    /// What was executed since `earlier`.
    func since(_ earlier: RedisCounts) -> RedisCounts {
        var difference = self
        for (name, count) in earlier.calls {
            difference.calls[name, default: 0] -= count
            if difference.calls[name] == 0 { difference.calls[name] = nil }
        }
        for (name, count) in earlier.failedCalls { difference.failedCalls[name, default: 0] -= count }
        difference.failedCalls = difference.failedCalls.filter { $0.value != 0 }
        return difference
    }

    /// `evalsha 1, time 1`.
    var text: String {
        calls.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}

extension RedisClient {
    func counts() async throws -> RedisCounts {
        let reply = try await send(RedisCommand("INFO", "commandstats"))
        guard let text = reply.string else { throw BenchError("Redis answered INFO strangely") }
        return RedisCounts(info: text)
    }

    /// Runs `body` with a client that is connected.
    static func withClient<Result: Sendable>(
        _ url: String, _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        try await withClient(try RedisConfiguration(url: url), body)
    }

    static func withClient<Result: Sendable>(
        _ configuration: RedisConfiguration, _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        let client = RedisClient(configuration: configuration, logger: quietLogger)
        let run = Task { try await client.run() }
        do {
            try await client.waitUntilReady(timeout: .seconds(10))
            let result = try await body(client)
            run.cancel()
            _ = await run.result
            return result
        } catch {
            run.cancel()
            _ = await run.result
            throw error
        }
    }
}

/// A logger for parts that would talk into the report.
let quietLogger = Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() })
