import RedisClient
import RefreshCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the instances say of themselves, in one hash.
public struct RedisInstanceRegistry: InstanceRegistry {
    let link: RedisLink

    public init(link: RedisLink) {
        self.link = link
    }

    private struct Announcement: Codable {
        var instance: InstanceInfo
        var ttl: Int64
    }

    public func announce(_ instance: InstanceInfo, ttl: Duration) async throws(StoreError) {
        let announcement = Announcement(instance: instance, ttl: ttl.wholeMilliseconds)
        guard let data = try? JSONEncoder().encode(announcement) else {
            throw StoreError(.corrupt, "the instance's announcement cannot be encoded")
        }
        let key = link.keys.instances
        _ = try await link.send(RedisCommand("HSET", key, instance.id, Array(data)), key: key)
        // Elsewhere the scripts' replies do this by the way; here an instance may only read for hours.
        if link.isFrugal { try await link.alignClock() }
    }

    public func withdraw(_ instance: InstanceID) async throws(StoreError) {
        let key = link.keys.instances
        _ = try await link.send(RedisCommand("HDEL", key, instance.rawValue), key: key)
    }

    public func instances() async throws(StoreError) -> [InstanceInfo] {
        let key = link.keys.instances
        guard let fields = try await link.send(RedisCommand("HGETALL", key), key: key).array else {
            throw .malformed("the list of instances")
        }
        let now = link.clock.wall().milliseconds
        var live: [InstanceInfo] = []
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard let name = fields[index].string, let bytes = fields[index + 1].bytes else { continue }
            let announcement = try? JSONDecoder().decode(Announcement.self, from: Data(bytes))
            if let announcement, announcement.instance.seenAt + announcement.ttl >= now {
                live.append(announcement.instance)
            } else if announcement.map({ $0.instance.seenAt + 10 * $0.ttl < now }) ?? true {
                // Long dead: whoever looks sweeps.
                _ = try await link.send(RedisCommand("HDEL", key, name), key: key)
            }
        }
        return live.sorted { $0.id < $1.id }
    }
}
