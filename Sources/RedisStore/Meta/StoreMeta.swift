import RedisClient
import RefreshCore
import Sealing

/// What is written once about the store: the number of partitions, and a sealed known value by which a wrong sealing
/// key is noticed before anything is written with it.
public enum StoreMeta {
    private static let place = KeyRing.Place(purpose: "key check")
    private static let knownText = Array("perennial".utf8)

    /// Reads the meta data, or writes it on an empty store, and opens the gate of the link.
    ///
    /// - Throws: ``StoreError`` with code `sealing` when the store was sealed with keys that are not at hand, and with
    ///   code `corrupt` when it was made with another number of partitions; nothing has been written then.
    public static func open(_ link: RedisLink) async throws(StoreError) {
        let key = link.keys.meta
        guard let fields = try await link.sendUngated(RedisCommand("HGETALL", key), key: key).array else {
            throw .malformed("the meta data")
        }
        var meta: [String: RESPValue] = [:]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            if let name = fields[index].string { meta[name] = fields[index + 1] }
        }
        try checkKeys(meta, ring: link.ring)
        if let partitions = meta["partitions"]?.int, partitions != Int64(link.keys.partitions) {
            throw StoreError(
                .corrupt,
                "this store has \(partitions) partitions, and \(link.keys.partitions) are expected for this kind of "
                    + "Redis: use another redis.prefix, or move the accounts with an export")
        }
        let sealing = link.ring.keys[0]
        if meta["check:\(sealing.idText)"] == nil {
            let sealed: [UInt8]
            do { sealed = try link.ring.seal(knownText, at: place) } catch { throw StoreError(error) }
            _ = try await link.sendUngated(
                RedisCommand("HSET", key, "check:\(sealing.idText)", sealed, "partitions", link.keys.partitions),
                key: key)
        }
        try await link.checkDurability()
        link.gate.open()
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
