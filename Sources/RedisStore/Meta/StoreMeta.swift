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
    /// From then on the link's keys have the number of partitions that the store was made with.
    ///
    /// - Throws: ``StoreError`` with code `sealing` when the store was sealed with keys that are not at hand, and with
    ///   code `corrupt` when its number of partitions makes no sense; nothing has been written then.
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
        let partitions = try await partitions(meta["partitions"], link)
        let sealing = link.ring.keys[0]
        if meta["check:\(sealing.idText)"] == nil {
            let sealed: [UInt8]
            do { sealed = try link.ring.seal(knownText, at: place) } catch { throw StoreError(error) }
            _ = try await link.sendUngated(
                RedisCommand("HSET", key, "check:\(sealing.idText)", sealed), key: key)
        }
        try await link.checkDurability()
        try await link.alignClock()
        link.gate.open(partitions: partitions)
    }

    /// The first instance decides; all others read what it wrote.
    private static func partitions(_ known: RESPValue?, _ link: RedisLink) async throws(StoreError) -> Int {
        var number = known?.int
        if known == nil {
            let key = link.keys.meta
            _ = try await link.sendUngated(
                RedisCommand("HSETNX", key, "partitions", link.keys.partitions), key: key)
            number = try await link.sendUngated(RedisCommand("HGET", key, "partitions"), key: key).int
        }
        guard let number, (1...16384).contains(number) else { throw .malformed("the number of partitions") }
        return Int(number)
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
