import RedisClient
import RefreshCore

/// Notices that another server is in charge than before, or the same one has been started anew.
public struct FailoverWatch: Sendable {
    private let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    /// Looks at the server of every partition, which begins the quarantine where a server is new.
    ///
    /// - Returns: how long ago the newest failover was noticed; nil where there has been none.
    public func look() async throws(StoreError) -> Duration? {
        guard link.watchesFailover else { return nil }
        let ages = try await link.onEach(0..<link.keys.partitions) { partition throws(StoreError) -> Duration? in
            let reply = try await link.evaluate(
                ScriptLibrary.watchServer, keys: [link.keys.pauses(partition)], arguments: [])
            guard reply.count >= 2, let now = link.align(reply, at: 0), let since = reply[1].int else {
                throw .malformed("WATCH SERVER")
            }
            return since > 0 ? now - WallTime(milliseconds: since) : nil
        }
        return ages.compactMap { $0 }.min()
    }
}
