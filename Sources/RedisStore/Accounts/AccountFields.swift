import RedisClient
import RefreshCore
import Sealing

/// The fields of an account's hash, in the order in which the scripts return them (`FIELDS` in prelude.lua).
enum AccountField: Int, CaseIterable {
    case provider, name, enabled, status, generation, access
    case tokenType, expiresAt, obtainedAt, createdAt, updatedAt, dueAt
    case failures, nextAttemptAt, faultKind, faultMessage, intent, removed, recentAttempts
    case pool, tier, labels, proxy
    /// What events have told of its failing; only the scripts read it.
    case told
    case authorizedAt, grantExpiresAt, grantSince, grantWarned

    var redisName: String {
        switch self {
        case .tokenType: "token_type"
        case .expiresAt: "expires_at"
        case .obtainedAt: "obtained_at"
        case .createdAt: "created_at"
        case .updatedAt: "updated_at"
        case .dueAt: "due_at"
        case .nextAttemptAt: "next_attempt_at"
        case .faultKind: "fault_kind"
        case .faultMessage: "fault_message"
        case .recentAttempts: "recent_attempts"
        case .authorizedAt: "authorized_at"
        case .grantExpiresAt: "grant_expires_at"
        case .grantSince: "grant_since"
        case .grantWarned: "grant_warned"
        default: String(describing: self)
        }
    }

    static func hashCommand(_ key: String) -> RedisCommand {
        RedisCommand("HMGET", arguments: [key] + allCases.map(\.redisName))
    }

    /// Names under which secrets are sealed.
    static let accessPlace = "access"
    static let refreshPlace = "refresh"
}

/// An account's hash as it came from Redis.
struct AccountFields {
    private let values: [RESPValue]

    /// Nil unless the reply is a list of the expected length.
    init?(_ reply: RESPValue?) {
        guard let values = reply?.array, values.count == AccountField.allCases.count else { return nil }
        self.values = values
    }

    func text(_ field: AccountField) -> String? {
        guard let text = values[field.rawValue].string, !text.isEmpty else { return nil }
        return text
    }

    func number(_ field: AccountField) -> Int64? { text(field).flatMap { Int64($0) } }
    func time(_ field: AccountField) -> WallTime? { number(field).map { WallTime(milliseconds: $0) } }

    var generation: Generation? { number(.generation).map { Generation($0) } }

    /// False for no hash at all and for the tombstone of a removed account.
    var exists: Bool { generation != nil && text(.removed) != "1" }

    /// - Throws: ``StoreError`` when a field is not what it should be, or a secret cannot be opened.
    func snapshot(_ id: AccountID, ring: KeyRing) throws(StoreError) -> AccountSnapshot {
        guard let generation, let provider else { throw .malformed("account \(id)") }
        var accessToken: Secret?
        if let sealed = values[AccountField.access.rawValue].bytes, !sealed.isEmpty {
            do {
                accessToken = try ring.openSecret(
                    sealed, at: .init(account: id, field: AccountField.accessPlace, generation: generation))
            } catch {
                throw StoreError(.sealing, "account \(id): \(error.description)")
            }
        }
        return AccountSnapshot(
            id: id, provider: provider, name: text(.name) ?? "", enabled: text(.enabled) == "1",
            status: text(.status).flatMap { AccountStatus(rawValue: $0) } ?? .active, generation: generation,
            accessToken: accessToken, tokenType: text(.tokenType) ?? "Bearer", expiresAt: time(.expiresAt),
            obtainedAt: time(.obtainedAt), createdAt: time(.createdAt) ?? WallTime(milliseconds: 0),
            updatedAt: time(.updatedAt) ?? WallTime(milliseconds: 0), dueAt: time(.dueAt),
            failures: Int(number(.failures) ?? 0), nextAttemptAt: time(.nextAttemptAt), lastFault: fault,
            intent: intent, pool: text(.pool).flatMap { try? PoolName($0) },
            tier: text(.tier).flatMap { try? TierName($0) }, labels: AccountLabels(storedAs: text(.labels)),
            proxy: try values[AccountField.proxy.rawValue].bytes.flatMap { sealed throws(StoreError) in
                sealed.isEmpty ? nil : try SealedProxy.open(sealed, of: id, ring: ring)
            }, authorizedAt: time(.authorizedAt), grant: grant,
            grantStage: number(.grantWarned).flatMap { GrantTerm.Stage(rawValue: Int($0)) } ?? .lasting)
    }

    private var grant: GrantTerm? {
        guard let endsAt = time(.grantExpiresAt), let since = time(.grantSince) else { return nil }
        return GrantTerm(since: since, endsAt: endsAt)
    }

    /// The account's provider, which needs no key to be read.
    var provider: ProviderName? { text(.provider).flatMap { try? ProviderName($0) } }

    private var fault: RefreshFault? {
        guard let kind = text(.faultKind).flatMap({ RefreshFault.Kind(rawValue: $0) }) else { return nil }
        return RefreshFault(kind: kind, message: text(.faultMessage) ?? kind.rawValue)
    }

    /// The intent, if it is one of this version and of the current generation.
    var intent: RefreshIntent? {
        guard let words = text(.intent)?.split(separator: " "), words.count == 8, words[0] == "v1",
            let generation = Int64(words[2]), let origin = try? InstanceID(String(words[3])),
            let state = RefreshIntent.State(rawValue: String(words[4])), let at = Int64(words[5]),
            let firstAt = Int64(words[6]), let resends = Int(words[7]), Generation(generation) == self.generation
        else { return nil }
        return RefreshIntent(
            attempt: AttemptID(rawValue: String(words[1])), generation: Generation(generation), origin: origin,
            state: state, at: WallTime(milliseconds: at), firstAt: WallTime(milliseconds: firstAt), resends: resends)
    }
}
