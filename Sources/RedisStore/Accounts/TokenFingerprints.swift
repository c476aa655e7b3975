import RedisClient
import RefreshCore

/// Which account was given which refresh token, by fingerprint: two that spend one rotating token would end both.
///
/// The index is written when credentials are put and not when they rotate: it costs nothing per refresh, and finds a
/// token that is put again, spent or not. An entry counts only while the account it names says the same of itself, so
/// one that was left behind does no harm.
struct TokenFingerprints {
    let link: RedisLink
    /// The field of an account's hash with the fingerprint of the refresh token that it was put with.
    static let field = "fingerprint"

    private var key: String { link.keys.fingerprints }

    /// The account that was put with the same refresh token, other than `id`.
    func owner(of fingerprints: [String], besides id: AccountID) async throws(StoreError) -> AccountID? {
        guard !fingerprints.isEmpty else { return nil }
        let reply = try await link.send(RedisCommand("HMGET", arguments: [key] + fingerprints), key: key)
        guard let owners = reply.array else { throw .malformed("the fingerprints") }
        for owner in owners.compactMap({ $0.string.flatMap { try? AccountID($0) } }) where owner != id {
            let account = link.keys.account(owner)
            let own = try await link.send(RedisCommand("HGET", account, Self.field), key: account)
            if let text = own.string, fingerprints.contains(text) { return owner }
        }
        return nil
    }

    /// - Parameter old: what the account was put with before.
    func note(_ fingerprint: String, of id: AccountID, old: String?) async throws(StoreError) {
        if let old, !old.isEmpty, old != fingerprint { try await forget(old) }
        _ = try await link.send(RedisCommand("HSET", key, fingerprint, id.rawValue), key: key)
    }

    func forget(_ fingerprint: String) async throws(StoreError) {
        _ = try await link.send(RedisCommand("HDEL", key, fingerprint), key: key)
    }
}
