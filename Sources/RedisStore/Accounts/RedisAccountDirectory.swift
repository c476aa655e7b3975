import RedisClient
import RefreshCore
import Sealing

/// Adding, editing, removing and listing accounts in Redis.
public struct RedisAccountDirectory: AccountDirectory {
    let link: RedisLink
    private let store: RedisAccountStore

    public init(link: RedisLink, origin: InstanceID) {
        self.link = link
        self.store = RedisAccountStore(link: link, origin: origin)
    }

    private var keys: Keys { link.keys }
    /// How often a change is prepared anew because the account moved on between looking and writing.
    private static let tries = 8

    public func read(_ account: AccountID) async throws(StoreError) -> AccountSnapshot? {
        try await store.read(account)
    }

    public func put(_ account: AccountPut) async throws(StoreError) -> PutReply {
        let id = account.id
        let partition = keys.partitionNumber(id)
        let traits = try account.traits.arguments(for: id, ring: link.ring)
        // Where there is no refresh token there is nothing to be recognised.
        let token = AccountCredential(account.credentials.refreshToken).refreshToken
        let marks = token.map { link.ring.fingerprints(of: $0, at: account.provider) } ?? []
        let index = TokenFingerprints(link: link)
        if !account.mayShareToken, !account.isForced, let owner = try await index.owner(of: marks, besides: id) {
            return .tokenInUse(by: owner)
        }
        var (expected, old) = try await lookedUp(id)
        for _ in 0..<Self.tries {
            let (access, refresh) = try seal(account, generation: expected.next)
            let fixed: [any RedisArgument] = [
                id.rawValue, account.provider.rawValue, expected.rawValue, account.name == nil ? 0 : 1,
                account.name ?? "", account.overwrite.rawValue,
                account.ifGeneration.map { String($0.rawValue) } ?? "", access, refresh,
                account.credentials.tokenType,
                account.credentials.expiresAt.map { String($0.milliseconds) } ?? "", account.dueAt.milliseconds,
                keys.changes, account.resumes ? 1 : 0, account.attempt?.rawValue ?? "",
                marks.joined(separator: " "), account.isForced ? 1 : 0,
                account.credentials.grantExpiresAt.map { String($0.milliseconds) } ?? "",
            ]
            let reply = try await link.evaluate(
                ScriptLibrary.put,
                keys: [
                    keys.account(id), keys.due(partition, account.provider), keys.accounts(partition),
                    keys.events(partition), keys.pooled(partition),
                ], arguments: fixed + traits)
            guard reply.count >= 3, let word = reply[0].string, link.align(reply, at: 1) != nil else {
                throw .malformed("PUT")
            }
            if word == "CREATED" || word == "REPLACED", reply[2].int == expected.next.rawValue, let mark = marks.first {
                // The account is stored; an index that cannot be written only warns of less.
                try? await index.note(mark, of: id, old: old)
            }
            let generation = reply[2].int.map { Generation($0) }
            switch (word, generation) {
            case ("RETRY", .some): (expected, old) = try await lookedUp(id)
            case ("REFUSED", _):
                return .refusedBefore(WallTime(milliseconds: reply[2].int ?? 0))
            case ("CREATED", .some(let new)): return .created(new)
            case ("REPLACED", .some(let new)): return .replaced(new)
            case ("KEPT", .some(let current)): return .kept(current)
            case ("CONFLICT", let current): return .conflict(current)
            case ("OTHER", _):
                guard let provider = reply[2].string.flatMap({ try? ProviderName($0) }) else { throw .malformed("PUT") }
                return .otherProvider(provider)
            case ("LABELS", _): return .tooManyLabels
            default: throw .malformed("PUT")
            }
        }
        throw StoreError(.unavailable, "account \(id) is being changed too often: try again")
    }

    /// The generation of an account, and the fingerprint of the refresh token that it was put with.
    private func lookedUp(_ id: AccountID) async throws(StoreError) -> (Generation, fingerprint: String?) {
        let key = keys.account(id)
        let reply = try await link.send(RedisCommand("HMGET", key, "generation", TokenFingerprints.field), key: key)
        guard let values = reply.array, values.count == 2 else { throw .malformed("account \(id)") }
        return (Generation(values[0].int ?? 0), values[1].string)
    }

    private func seal(
        _ account: AccountPut, generation: Generation
    ) throws(StoreError) -> (access: [UInt8], refresh: [UInt8]) {
        func place(_ field: String) -> KeyRing.Place {
            .init(account: account.id, field: field, generation: generation)
        }
        do {
            var access: [UInt8] = []
            if let token = account.credentials.accessToken {
                access = try link.ring.seal(token, at: place(AccountField.accessPlace))
            }
            let refresh = try link.ring.seal(account.credentials.refreshToken, at: place(AccountField.refreshPlace))
            return (access, refresh)
        } catch {
            throw StoreError(error)
        }
    }

    public func edit(_ account: AccountID, _ edit: AccountEdit) async throws(StoreError) -> EditReply {
        let traits = try edit.traits.arguments(for: account, ring: link.ring)
        return try await change(account) { (provider, partition) throws(StoreError) in
            let fixed: [any RedisArgument] = [
                account.rawValue, provider.rawValue, edit.ifGeneration.map { String($0.rawValue) } ?? "",
                edit.name == nil ? 0 : 1, edit.name ?? "", edit.enabled.map { $0 ? "1" : "0" } ?? "", keys.changes,
            ]
            return try await link.evaluate(
                ScriptLibrary.edit,
                keys: [
                    keys.account(account), keys.due(partition, provider), keys.events(partition),
                    keys.pooled(partition),
                ], arguments: fixed + traits)
        }
    }

    public func remove(_ account: AccountID, ifGeneration: Generation?) async throws(StoreError) -> EditReply {
        let fingerprint = try await lookedUp(account).fingerprint
        let reply = try await removed(account, ifGeneration: ifGeneration)
        if reply == .done, let fingerprint, !fingerprint.isEmpty {
            try? await TokenFingerprints(link: link).forget(fingerprint)
        }
        return reply
    }

    private func removed(_ account: AccountID, ifGeneration: Generation?) async throws(StoreError) -> EditReply {
        try await change(account) { (provider, partition) throws(StoreError) in
            try await link.evaluate(
                ScriptLibrary.remove,
                keys: [
                    keys.account(account), keys.lock(account), keys.due(partition, provider),
                    keys.accounts(partition), keys.orphans(account), keys.events(partition),
                    keys.pooled(partition),
                ],
                arguments: [
                    account.rawValue, provider.rawValue, ifGeneration.map { String($0.rawValue) } ?? "", keys.changes,
                ])
        }
    }

    /// Runs a script that needs the account's provider for the name of a key; again if it changed meanwhile. Opens no
    /// secret: what cannot be opened has to be mendable.
    private func change(
        _ account: AccountID,
        _ script: (ProviderName, Int) async throws(StoreError) -> ScriptReply
    ) async throws(StoreError) -> EditReply {
        for _ in 0..<Self.tries {
            guard let provider = try await store.provider(of: account) else { return .missing }
            let reply = try await script(provider, keys.partitionNumber(account))
            guard reply.count >= 3, let word = reply[0].string, link.align(reply, at: 1) != nil else {
                throw .malformed("a change of account \(account)")
            }
            switch word {
            case "DONE": return .done
            case "MISSING": return .missing
            case "CONFLICT": return .conflict(Generation(reply[2].int ?? 0))
            case "LABELS": return .tooManyLabels
            case "RETRY": continue
            default: throw .malformed("a change of account \(account)")
            }
        }
        throw StoreError(.unavailable, "account \(account) is being changed too often: try again")
    }

    public func list(after: AccountID?, limit: Int) async throws(StoreError) -> AccountPage {
        let limit = max(1, limit)
        let start = after.map { "(" + $0.rawValue } ?? "-"
        let parts = try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> [AccountID] in
            let key = link.keys.accounts(partition)
            let reply = try await link.send(
                RedisCommand("ZRANGEBYLEX", key, start, "+", "LIMIT", 0, limit + 1), key: key)
            guard let members = reply.array else { throw .malformed("the list of accounts") }
            return members.compactMap { $0.string.flatMap { try? AccountID($0) } }
        }
        var ids = parts.flatMap { $0 }
        ids.sort { $0.rawValue.utf8.lexicographicallyPrecedes($1.rawValue.utf8) }
        let page = Array(ids.prefix(limit))
        let accounts = try await snapshots(page)
        return AccountPage(accounts: accounts, next: ids.count > limit ? page.last : nil)
    }

    func snapshots(_ ids: [AccountID]) async throws(StoreError) -> [AccountSnapshot] {
        var snapshots: [AccountSnapshot] = []
        for (_, account) in try await each(ids) {
            if let snapshot = try account.get() { snapshots.append(snapshot) }
        }
        return snapshots
    }

    /// Each of them in the given order: nil for one that is not there, or why it cannot be read.
    func each(
        _ ids: [AccountID]
    ) async throws(StoreError) -> [(AccountID, Result<AccountSnapshot?, StoreError>)] {
        typealias Read = Result<AccountSnapshot?, StoreError>
        // One pipeline a partition: its keys share a slot.
        let groups = Dictionary(grouping: ids, by: { keys.partitionNumber($0) })
        let parts = try await link.onEach(groups.keys.sorted()) { partition throws(StoreError) -> [(AccountID, Read)] in
            let group = groups[partition] ?? []
            let commands = group.map { AccountField.hashCommand(link.keys.account($0)) }
            let replies = try await link.pipeline(commands, key: link.keys.accounts(partition))
            var accounts: [(AccountID, Read)] = []
            for (id, reply) in zip(group, replies) {
                do throws(StoreError) {
                    guard let fields = AccountFields(reply) else { throw .malformed("account \(id)") }
                    accounts.append((id, .success(fields.exists ? try fields.snapshot(id, ring: link.ring) : nil)))
                } catch {
                    accounts.append((id, .failure(error)))
                }
            }
            return accounts
        }
        let found = Dictionary(parts.joined().map { ($0.0, $0.1) }) { first, _ in first }
        return ids.compactMap { id in found[id].map { (id, $0) } }
    }

    public func count() async throws(StoreError) -> Int {
        try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> Int in
            let key = link.keys.accounts(partition)
            return Int(try await link.send(RedisCommand("ZCARD", key), key: key).int ?? 0)
        }.reduce(0, +)
    }
}
