import RedisClient
public import RefreshCore

/// The pools in Redis: which accounts they have, and what the fleet has told of them.
public struct RedisPoolStore: PoolStore {
    private let link: RedisLink
    private let directory: RedisAccountDirectory
    private let origin: InstanceID

    public init(link: RedisLink, origin: InstanceID) {
        self.link = link
        self.origin = origin
        directory = RedisAccountDirectory(link: link, origin: origin)
    }

    /// Costs what is in pools, not what exists.
    public func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        let parts = try await link.onEach(0..<link.keys.partitions) { partition throws(StoreError) -> [AccountID] in
            let key = link.keys.pooled(partition)
            let reply = try await link.send(RedisCommand("HGETALL", key), key: key)
            guard let members = reply.pairs else { throw .malformed("the accounts in pools") }
            return members.compactMap { id, name in name == pool.rawValue ? try? AccountID(id) : nil }
        }
        // The index is kept by the scripts; what an account says of itself counts.
        return try await directory.snapshots(parts.flatMap { $0 }.sorted()).filter { $0.pool == pool }
    }

    public func note(
        _ pool: PoolName, isExhausted: Bool, count: PoolCount, next: WallTime?
    ) async throws(StoreError) {
        let reply = try await link.evaluate(
            ScriptLibrary.poolState, keys: [link.keys.fleet, link.keys.events(0)],
            arguments: [
                pool.rawValue, isExhausted ? "exhausted" : "available", count.members, count.totalAvailable,
                next.map { String($0.milliseconds) } ?? "", origin.rawValue, link.keys.changes,
            ])
        guard reply.count >= 2, link.align(reply, at: 0) != nil else { throw .malformed("the state of a pool") }
    }
}

extension RESPValue {
    /// The fields and values of a hash: a flat list in RESP2, a map in RESP3.
    fileprivate var pairs: [(String, String)]? {
        guard let values = array, values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).compactMap { index in
            guard let field = values[index].string, let value = values[index + 1].string else { return nil }
            return (field, value)
        }
    }
}
