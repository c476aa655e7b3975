import RedisClient
import RefreshCore
import Sealing

/// What is written once about the store: the number of partitions, and a sealed known value by which a wrong sealing
/// key is noticed before anything is written with it.
public enum StoreMeta {
    private static let place = KeyRing.Place(purpose: "key check")
    private static let knownText = Array("perennial".utf8)

    /// Reads the meta data, or writes it on an empty store.
    ///
    /// - Throws: ``StoreError`` with code `sealing` when the store was sealed with keys that are not at hand; nothing
    ///   has been written then.
    public static func open(
        client: RedisClient, prefix: String, ring: KeyRing, clock: FleetClock, partitionsIfNew: Int = 1
    ) async throws(StoreError) -> RedisLink {
        let bare = RedisLink(client: client, keys: Keys(prefix: prefix), ring: ring, clock: clock)
        let key = bare.keys.meta
        guard let fields = try await bare.send(RedisCommand("HGETALL", key), key: key).array else {
            throw .malformed("the meta data")
        }
        var meta: [String: RESPValue] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            if let name = fields[index].string { meta[name] = fields[index + 1] }
        }
        try checkKeys(meta, ring: ring)
        let sealing = ring.keys[0]
        if meta["check:\(sealing.idText)"] == nil {
            let sealed: [UInt8]
            do { sealed = try ring.seal(knownText, at: place) } catch { throw StoreError(error) }
            _ = try await bare.send(RedisCommand("HSET", key, "check:\(sealing.idText)", sealed), key: key)
        }
        _ = try await bare.send(RedisCommand("HSETNX", key, "partitions", partitionsIfNew), key: key)
        let partitions = try await bare.send(RedisCommand("HGET", key, "partitions"), key: key).int ?? 1
        guard (1...16384).contains(partitions) else { throw .malformed("the number of partitions") }
        return RedisLink(
            client: client, keys: Keys(prefix: prefix, partitions: Int(partitions)), ring: ring, clock: clock)
    }

    private static func checkKeys(_ meta: [String: RESPValue], ring: KeyRing) throws(StoreError) {
        let checks = meta.filter { $0.key.hasPrefix("check:") }
        guard !checks.isEmpty else { return }
        for check in checks.values {
            if let sealed = check.bytes, (try? ring.open(sealed, at: place)) == knownText { return }
        }
        let names = checks.keys.map { $0.dropFirst("check:".count) }.sorted().joined(separator: ", ")
        throw StoreError(
            .sealing,
            "wrong sealing key: this store was sealed with key \(names), and the key file holds only "
                + "\(ring.keys.map(\.idText).joined(separator: ", ")). Nothing was written.")
    }
}
