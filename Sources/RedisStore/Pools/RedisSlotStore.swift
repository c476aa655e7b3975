import RedisClient
public import RefreshCore

/// The calls that use the accounts of a pool at present: a sorted set for each account, which ends by itself.
public struct RedisSlotStore: SlotStore {
    private let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    public func take(
        _ attempt: AttemptID, of accounts: [AccountID], in pool: PoolName, most: Int, ttl: Duration
    ) async throws(StoreError) -> AccountID? {
        guard !accounts.isEmpty else { return nil }
        let reply = try await link.evaluate(
            ScriptLibrary.slotTake, keys: accounts.map { link.keys.slots(pool, $0) },
            arguments: [attempt.rawValue, most, ttl.wholeMilliseconds])
        guard reply.count >= 2, link.align(reply, at: 0) != nil, let index = reply[1].int,
            (0...Int64(accounts.count)).contains(index)
        else { throw .malformed("the slots of a pool") }
        return index == 0 ? nil : accounts[Int(index) - 1]
    }

    public func renew(
        _ attempt: AttemptID, of account: AccountID, in pool: PoolName, ttl: Duration
    ) async throws(StoreError) -> Bool {
        let reply = try await link.evaluate(
            ScriptLibrary.slotRenew, keys: [link.keys.slots(pool, account)],
            arguments: [attempt.rawValue, ttl.wholeMilliseconds])
        guard reply.count >= 2, link.align(reply, at: 0) != nil, let isThere = reply[1].int else {
            throw .malformed("the slots of a pool")
        }
        return isThere == 1
    }

    public func free(_ attempt: AttemptID, of account: AccountID, in pool: PoolName) async throws(StoreError) {
        let key = link.keys.slots(pool, account)
        _ = try await link.send(RedisCommand("ZREM", key, attempt.rawValue), key: key)
    }
}
