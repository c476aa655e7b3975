import RedisClient
import RefreshCore

/// The proactive schedule in Redis: a sorted set per partition and provider.
public struct RedisScheduleStore: ScheduleStore {
    let link: RedisLink
    private static let reconcilePage = 500

    public init(link: RedisLink) {
        self.link = link
    }

    private var keys: Keys { link.keys }

    public func takeDue(limits: [ProviderName: Int], hold: Duration) async throws(StoreError) -> DueBatch {
        guard keys.partitions > 1 else { return try await takeDue(in: 0, limits: limits, hold: hold) }
        var look = PartitionedDue(partitions: keys.partitions, limits: limits)
        return try await look.run {
            partition, limits throws(StoreError) in
            try await takeDue(in: partition, limits: limits, hold: hold)
        }
    }

    private func takeDue(
        in partition: Int, limits: [ProviderName: Int], hold: Duration
    ) async throws(StoreError) -> DueBatch {
        if link.isFrugal { return try await lookAtDue(in: partition, limits: limits) }
        let providers = limits.keys.sorted()
        var batch = DueBatch(due: [], nextDueIn: nil)
        var arguments: [any RedisArgument] = [hold.wholeMilliseconds]
        for provider in providers {
            arguments.append(provider.rawValue)
            arguments.append(max(0, limits[provider] ?? 0))
        }
        let reply = try await link.evaluate(
            ScriptLibrary.takeDue,
            keys: [keys.pauses(partition)] + providers.map { keys.due(partition, $0) }, arguments: arguments)
        guard reply.count >= 3, link.align(reply, at: 0) != nil, let wait = reply[1].int, let taken = reply[2].array,
            taken.count.isMultiple(of: 2)
        else { throw .malformed("TAKE DUE") }
        for index in stride(from: 0, to: taken.count, by: 2) {
            guard let number = taken[index].int, (1...Int64(providers.count)).contains(number),
                let text = taken[index + 1].string, let id = try? AccountID(text)
            else { throw .malformed("TAKE DUE") }
            batch.due.append(DueAccount(account: id, provider: providers[Int(number) - 1]))
        }
        if wait >= 0 { batch.nextDueIn = .milliseconds(wait) }
        return batch
    }

    /// One plain command for each provider: what is due stays where it is in the schedule, and paused providers are not
    /// passed over, for BEGIN says that they are.
    private func lookAtDue(in partition: Int, limits: [ProviderName: Int]) async throws(StoreError) -> DueBatch {
        let providers = limits.keys.sorted()
        let replies = try await link.pipeline(
            providers.map {
                RedisCommand("ZRANGE", keys.due(partition, $0), 0, max(0, limits[$0] ?? 0), "WITHSCORES")
            }, key: keys.pauses(partition))
        let now = link.clock.wall()
        var batch = DueBatch(due: [], nextDueIn: nil)
        for (provider, reply) in zip(providers, replies) {
            guard let entries = reply.array, entries.count.isMultiple(of: 2) else { throw .malformed("the schedule") }
            var left = max(0, limits[provider] ?? 0)
            for index in stride(from: 0, to: entries.count, by: 2) {
                guard let text = entries[index].string, let id = try? AccountID(text),
                    let score = entries[index + 1].string.flatMap({ Double($0) })
                else { throw .malformed("the schedule") }
                let wait = WallTime(milliseconds: Int64(score)) - now
                if wait <= .zero, left > 0 {
                    batch.due.append(DueAccount(account: id, provider: provider))
                    left -= 1
                } else {
                    batch.nextDueIn = min(batch.nextDueIn ?? .seconds(1 << 40), max(wait, .zero))
                    break
                }
            }
        }
        return batch
    }

    public func scheduledCounts(_ providers: [ProviderName]) async throws(StoreError) -> [ProviderName: Int] {
        let parts = try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> [RESPValue] in
            try await link.pipeline(
                providers.map { RedisCommand("ZCARD", link.keys.due(partition, $0)) },
                key: link.keys.accounts(partition))
        }
        var counts: [ProviderName: Int] = [:]
        for replies in parts {
            for (provider, reply) in zip(providers, replies) { counts[provider, default: 0] += Int(reply.int ?? 0) }
        }
        return counts
    }

    public func reconcile() async throws(StoreError) -> Int {
        try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> Int in
            var repaired = 0
            var start = "-"
            while true {
                let key = link.keys.accounts(partition)
                let reply = try await link.send(
                    RedisCommand("ZRANGEBYLEX", key, start, "+", "LIMIT", 0, Self.reconcilePage), key: key)
                guard let members = reply.array else { throw .malformed("the list of accounts") }
                let ids = members.compactMap { $0.string.flatMap { try? AccountID($0) } }
                repaired += try await reconcile(ids, in: partition)
                guard members.count == Self.reconcilePage, let last = members.last?.string else { return repaired }
                start = "(" + last
            }
        }.reduce(0, +)
    }

    /// Adds what is missing and touches nothing that is there: BEGIN puts right what is wrong.
    private func reconcile(_ ids: [AccountID], in partition: Int) async throws(StoreError) -> Int {
        let anchor = keys.accounts(partition)
        let accounts = try await link.pipeline(
            ids.map { AccountField.hashCommand(keys.account($0)) }, key: anchor)
        var additions: [RedisCommand] = []
        for (id, reply) in zip(ids, accounts) {
            guard let fields = AccountFields(reply), fields.exists, fields.text(.enabled) == "1",
                fields.text(.status) != AccountStatus.reauthRequired.rawValue,
                let provider = fields.text(.provider).flatMap({ try? ProviderName($0) })
            else { continue }
            let due = fields.time(.dueAt) ?? link.clock.wall()
            additions.append(
                RedisCommand("ZADD", keys.due(partition, provider), "NX", due.milliseconds, id.rawValue))
        }
        try await index(zip(ids, accounts), in: partition)
        let replies = try await link.pipeline(additions, key: anchor)
        return replies.reduce(0) { $0 + Int($1.int ?? 0) }
    }

    /// Puts accounts that are in a pool into the index of those, where they are missing: older versions kept none.
    private func index(_ accounts: some Sequence<(AccountID, RESPValue)>, in partition: Int) async throws(StoreError) {
        let pooled = accounts.compactMap { id, reply -> (id: AccountID, pool: String)? in
            guard let fields = AccountFields(reply), fields.exists, let pool = fields.text(.pool), !pool.isEmpty else {
                return nil
            }
            return (id, pool)
        }
        guard !pooled.isEmpty else { return }
        let key = keys.pooled(partition)
        let known = try await link.send(RedisCommand("HMGET", arguments: [key] + pooled.map(\.id.rawValue)), key: key)
        let missing = zip(pooled, known.array ?? []).filter { $1.isNull }.map(\.0)
        // What has been changed meanwhile stays.
        _ = try await link.pipeline(missing.map { RedisCommand("HSETNX", key, $0.id.rawValue, $0.pool) }, key: key)
    }
}
