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
        let providers = limits.keys.sorted()
        var batch = DueBatch(due: [], nextDueIn: nil)
        for partition in 0..<keys.partitions {
            var arguments: [any RedisArgument] = [hold.wholeMilliseconds]
            for provider in providers {
                arguments.append(provider.rawValue)
                arguments.append(max(0, limits[provider] ?? 0))
            }
            let reply = try await link.evaluate(
                ScriptLibrary.takeDue,
                keys: [keys.pauses(partition)] + providers.map { keys.due(partition, $0) }, arguments: arguments)
            guard reply.count >= 3, link.align(reply[0]) != nil, let wait = reply[1].int, let taken = reply[2].array,
                taken.count.isMultiple(of: 2)
            else { throw .malformed("TAKE DUE") }
            for index in stride(from: 0, to: taken.count, by: 2) {
                guard let number = taken[index].int, (1...Int64(providers.count)).contains(number),
                    let text = taken[index + 1].string, let id = try? AccountID(text)
                else { throw .malformed("TAKE DUE") }
                batch.due.append(DueAccount(account: id, provider: providers[Int(number) - 1]))
            }
            if wait >= 0 { batch.nextDueIn = min(batch.nextDueIn ?? .milliseconds(wait), .milliseconds(wait)) }
        }
        return batch
    }

    public func scheduledCounts(_ providers: [ProviderName]) async throws(StoreError) -> [ProviderName: Int] {
        var counts: [ProviderName: Int] = [:]
        for partition in 0..<keys.partitions {
            let replies = try await link.pipeline(
                providers.map { RedisCommand("ZCARD", keys.due(partition, $0)) }, key: keys.accounts(partition))
            for (provider, reply) in zip(providers, replies) { counts[provider, default: 0] += Int(reply.int ?? 0) }
        }
        return counts
    }

    public func reconcile() async throws(StoreError) -> Int {
        var repaired = 0
        for partition in 0..<keys.partitions {
            var start = "-"
            while true {
                let key = keys.accounts(partition)
                let reply = try await link.send(
                    RedisCommand("ZRANGEBYLEX", key, start, "+", "LIMIT", 0, Self.reconcilePage), key: key)
                guard let members = reply.array else { throw .malformed("the list of accounts") }
                let ids = members.compactMap { $0.string.flatMap { try? AccountID($0) } }
                repaired += try await reconcile(ids, in: partition)
                guard members.count == Self.reconcilePage, let last = members.last?.string else { break }
                start = "(" + last
            }
        }
        return repaired
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
        let replies = try await link.pipeline(additions, key: anchor)
        return replies.reduce(0) { $0 + Int($1.int ?? 0) }
    }
}
