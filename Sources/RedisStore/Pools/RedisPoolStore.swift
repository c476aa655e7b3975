public import Logging
import NIOConcurrencyHelpers
import RedisClient
public import RefreshCore

/// The pools in Redis: which accounts they have, and what the fleet has told of them.
public struct RedisPoolStore: PoolStore {
    private let link: RedisLink
    private let directory: RedisAccountDirectory
    private let origin: InstanceID
    private let logger: Logger
    /// Accounts that cannot be read, and were told of.
    private let told = NIOLockedValueBox<Set<AccountID>>([])

    public init(link: RedisLink, origin: InstanceID, logger: Logger) {
        self.link = link
        self.origin = origin
        self.logger = logger
        directory = RedisAccountDirectory(link: link, origin: origin)
    }

    /// Costs what is in pools, not what exists. An account that cannot be read is left out, with a warning: it keeps nobody from
    /// the others.
    public func members(of pool: PoolName) async throws(StoreError) -> [AccountSnapshot] {
        let parts = try await link.onEach(0..<link.keys.partitions) { partition throws(StoreError) -> [AccountID] in
            let key = link.keys.pooled(partition)
            let reply = try await link.send(RedisCommand("HGETALL", key), key: key)
            guard let members = reply.pairs else { throw .malformed("the accounts in pools") }
            return members.compactMap { id, name in name == pool.rawValue ? try? AccountID(id) : nil }
        }
        // The index is kept by the scripts; what an account says of itself counts.
        let accounts = try await directory.each(parts.flatMap { $0 }.sorted())
        return accounts.compactMap { id, account in
            switch account {
            case .success(let snapshot):
                told.withLockedValue { _ = $0.remove(id) }
                return snapshot.flatMap { $0.pool == pool ? $0 : nil }
            case .failure(let error):
                if told.withLockedValue({ $0.insert(id).inserted }) {
                    logger.warning(
                        "pool: an account cannot be read, and is left out",
                        metadata: ["pool": "\(pool)", "account": "\(id)", "reason": "\(error.message)"])
                }
                return nil
            }
        }
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
    var pairs: [(String, String)]? {
        guard let values = array, values.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: values.count, by: 2).compactMap { index in
            guard let field = values[index].string, let value = values[index + 1].string else { return nil }
            return (field, value)
        }
    }
}
