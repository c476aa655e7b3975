import PerennialServers
import RefreshCore

/// The Redis of a run, in one of its topologies, and the harm that can be done to its servers.
protocol RedisSite: Sendable {
    /// What an instance connects to.
    ///
    /// - Parameter instance: from 1.
    func url(for instance: Int) -> String
    /// Does harm to the servers; returns when it is over.
    ///
    /// - Parameter hit: is told what is hit, in words, right before it is.
    func perform(_ kind: FaultKind, dice: SplitMix64, hit: @Sendable (String) -> Void) async throws
    /// Makes everything well again.
    func heal() async throws
    /// The servers that take writes at present.
    func primaries() async throws -> [RedisServer]
    func stop() async
}

extension RedisSite {
    /// Deletes a key wherever it is.
    func delete(_ key: String) async {
        // In a Cluster all but its owner answer MOVED.
        for server in (try? await primaries()) ?? [] { _ = try? await server.ask("del", key, timeout: .seconds(1)) }
    }

    /// Keys of all servers that fit a pattern.
    func keys(like pattern: String) async throws -> [String] {
        var keys: [String] = []
        for server in try await primaries() {
            let text = try await server.ask("--scan", "--pattern", pattern)
            keys += text.split(separator: "\n").map(String.init)
        }
        return keys
    }

    func flushScripts() async {
        for server in (try? await primaries()) ?? [] { _ = try? await server.ask("script", "flush") }
    }
}
