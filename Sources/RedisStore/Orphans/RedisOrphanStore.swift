import RedisClient
import RefreshCore
import Sealing

/// Orphans in Redis: a list for each account.
public struct RedisOrphanStore: OrphanStore {
    private let link: RedisLink
    private let store: RedisAccountStore
    private let policies: any PolicySource
    private let origin: InstanceID

    public init(link: RedisLink, policies: any PolicySource, origin: InstanceID) {
        self.link = link
        self.store = RedisAccountStore(link: link, origin: origin)
        self.policies = policies
        self.origin = origin
    }

    private var keys: Keys { link.keys }
    /// How often a change is prepared anew because the account moved on between looking and writing.
    private static let tries = 8

    public func orphans(of account: AccountID) async throws(StoreError) -> [Orphan] {
        try await records(of: account).map(\.orphan)
    }

    public func orphanCounts(_ accounts: [AccountID]) async throws(StoreError) -> [AccountID: Int] {
        var counts: [AccountID: Int] = [:]
        // One pipeline a partition: its keys share a slot.
        for (_, group) in Dictionary(grouping: accounts, by: { keys.partitionNumber($0) }) {
            let commands = group.map { RedisCommand("LLEN", keys.orphans($0)) }
            let replies = try await link.pipeline(commands, key: group.first.map { keys.orphans($0) })
            for (account, reply) in zip(group, replies) {
                guard let count = reply.int else { throw .malformed("the number of orphans") }
                if count > 0 { counts[account] = Int(count) }
            }
        }
        return counts
    }

    private func records(of account: AccountID) async throws(StoreError) -> [OrphanRecord] {
        let key = keys.orphans(account)
        guard let entries = try await link.send(RedisCommand("LRANGE", key, 0, -1), key: key).array else {
            throw .malformed("the orphans of account \(account)")
        }
        return try entries.map { entry throws(StoreError) in
            guard let record = entry.bytes.flatMap({ OrphanRecord($0, account: account, ring: link.ring) }) else {
                throw .malformed("an orphan of account \(account)")
            }
            return record
        }
    }

    // MARK: Restoring

    public func restore(
        _ attempt: AttemptID, of account: AccountID, force: Bool
    ) async throws(StoreError) -> RestoreReply {
        for _ in 0..<Self.tries {
            guard let record = try await records(of: account).first(where: { $0.orphan.attempt == attempt }) else {
                return .noOrphan
            }
            guard let snapshot = try await store.read(account) else { return .noAccount }
            if let provider = record.orphan.provider, provider != snapshot.provider {
                return .otherProvider(account: snapshot.provider, orphan: provider)
            }
            let reply = try await restore(record, over: snapshot, force: force)
            guard reply.count >= 3, let word = reply[0].string, link.align(reply, at: 1) != nil else {
                throw .malformed("RESTORE")
            }
            switch word {
            case "DONE": return .restored(Generation(reply[2].int ?? 0))
            case "NONE": return .noOrphan
            case "MISSING": return .noAccount
            case "BUSY":
                guard let obstacle = reply[2].string.flatMap({ RestoreReply.Obstacle(rawValue: $0) }) else {
                    throw .malformed("RESTORE")
                }
                return .busy(obstacle)
            case "RETRY", "CONFLICT": continue
            default: throw .malformed("RESTORE")
            }
        }
        throw StoreError(.unavailable, "account \(account) is being changed too often: try again")
    }

    private func restore(
        _ record: OrphanRecord, over snapshot: AccountSnapshot, force: Bool
    ) async throws(StoreError) -> ScriptReply {
        let id = snapshot.id
        let contents = try record.open(account: id, ring: link.ring)
        let next = snapshot.generation.next
        let access: [UInt8]
        let refresh: [UInt8]
        do {
            access =
                contents.accessToken.isEmpty
                ? []
                : try link.ring.seal(
                    Secret(contents.accessToken),
                    at: .init(account: id, field: AccountField.accessPlace, generation: next))
            refresh = try link.ring.seal(
                Secret(contents.refreshToken),
                at: .init(account: id, field: AccountField.refreshPlace, generation: next))
        } catch {
            throw StoreError(error)
        }
        let policy = policies.policy(for: snapshot.provider) ?? RefreshPolicy(provider: snapshot.provider)
        let partition = keys.partitionNumber(id)
        let (reply, confirmation) = try await link.evaluateDurably(
            ScriptLibrary.restoreOrphan,
            keys: [
                keys.account(id), keys.lock(id), keys.due(partition, snapshot.provider), keys.orphans(id),
                keys.events(partition),
            ],
            arguments: [
                id.rawValue, snapshot.provider.rawValue, snapshot.generation.rawValue, record.orphan.attempt.rawValue,
                access, refresh, contents.tokenType, contents.expiresAt.map(String.init) ?? "",
                contents.obtainedAt.map(String.init) ?? "", dueTime(contents, policy: policy).milliseconds,
                force ? 1 : 0, policy.lockTTL.wholeMilliseconds, try await replaced(snapshot), origin.rawValue,
                keys.changes,
            ], writes: { $0.first?.string == "DONE" })
        if case .missing(let reason) = confirmation {
            throw StoreError(
                .outcomeUnknown, "the orphan of account \(id) is restored, and a failover may lose that: \(reason)")
        }
        return reply
    }

    /// At once where the access token has ended or there is none.
    private func dueTime(_ contents: OrphanRecord.Contents, policy: RefreshPolicy) -> WallTime {
        let now = link.clock.wall()
        guard let expiresAt = contents.expiresAt else { return now }
        // Only spreads due times; the system's own generator is an empty type, which the thread sanitizer trips over.
        var generator = SplitMix64(seed: .random(in: .min ... .max))
        let due = policy.dueTime(
            expiresAt: WallTime(milliseconds: expiresAt),
            obtainedAt: contents.obtainedAt.map { WallTime(milliseconds: $0) } ?? now, using: &generator)
        return max(due, now)
    }

    /// The account's credentials as they are, sealed as an orphan.
    private func replaced(_ snapshot: AccountSnapshot) async throws(StoreError) -> [UInt8] {
        let key = keys.account(snapshot.id)
        let reply = try await link.send(RedisCommand("HMGET", key, "generation", "refresh"), key: key)
        // Moved on meanwhile: the script finds that out too, and does nothing.
        guard let fields = reply.array, fields.count == 2, fields[0].int == snapshot.generation.rawValue,
            let sealed = fields[1].bytes
        else { return [] }
        let refreshToken: Secret
        do {
            refreshToken = try link.ring.openSecret(
                sealed,
                at: .init(account: snapshot.id, field: AccountField.refreshPlace, generation: snapshot.generation))
        } catch {
            throw StoreError(error)
        }
        return try OrphanRecord.seal(
            .init(
                accessToken: snapshot.accessToken?.reveal() ?? "", refreshToken: refreshToken.reveal(),
                tokenType: snapshot.tokenType, expiresAt: snapshot.expiresAt?.milliseconds,
                obtainedAt: snapshot.obtainedAt?.milliseconds),
            account: snapshot.id, generation: snapshot.generation, ring: link.ring)
    }

    // MARK: Dropping

    public func drop(_ attempt: AttemptID, of account: AccountID) async throws(StoreError) -> DropReply {
        let partition = keys.partitionNumber(account)
        for _ in 0..<Self.tries {
            let snapshot = try await store.read(account)
            // A removed account has no place in a schedule, and the script does not look for one.
            let due = snapshot.map { keys.due(partition, $0.provider) } ?? keys.orphans(account)
            let reply = try await link.evaluate(
                ScriptLibrary.dropOrphan,
                keys: [keys.account(account), due, keys.orphans(account), keys.events(partition)],
                arguments: [
                    account.rawValue, snapshot?.provider.rawValue ?? "", attempt.rawValue, origin.rawValue,
                    keys.changes,
                ])
            guard reply.count >= 3, let word = reply[0].string, link.align(reply, at: 1) != nil else {
                throw .malformed("DROP")
            }
            switch word {
            case "DONE": return .dropped
            case "DEAD": return .droppedLast
            case "NONE": return .noOrphan
            case "RETRY": continue
            default: throw .malformed("DROP")
            }
        }
        throw StoreError(.unavailable, "account \(account) is being changed too often: try again")
    }
}
