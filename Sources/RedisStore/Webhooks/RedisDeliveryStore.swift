import RedisClient
import RefreshCore
import Webhooks

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The state of webhook deliveries in Redis: a hash a partition, and a stream of dead letters a partition.
public struct RedisDeliveryStore: DeliveryStore {
    let link: RedisLink
    /// Of each partition; older ones are cut off.
    private static let deadLettersKept = 1000
    /// Marks the fields of statuses in the hash of partition 0; the name of an endpoint holds no blank.
    private static let statusMark = " status"

    public init(link: RedisLink) {
        self.link = link
    }

    private var keys: Keys { link.keys }

    // MARK: Progress

    public func progress(_ partition: Int) async throws(StoreError) -> [String: DeliveryProgress] {
        var progress: [String: DeliveryProgress] = [:]
        for (name, bytes) in try await fields(partition) where !name.hasSuffix(Self.statusMark) {
            progress[name] = try Self.decode(DeliveryProgress.self, bytes, "the progress of webhook endpoint \(name)")
        }
        return progress
    }

    public func statuses() async throws(StoreError) -> [String: DeliveryStatus] {
        var statuses: [String: DeliveryStatus] = [:]
        for (field, bytes) in try await fields(0) where field.hasSuffix(Self.statusMark) {
            let name = String(field.dropLast(Self.statusMark.count))
            statuses[name] = try Self.decode(DeliveryStatus.self, bytes, "the status of webhook endpoint \(name)")
        }
        return statuses
    }

    public func save(
        _ partition: Int, progress: [String: DeliveryProgress], statuses: [String: DeliveryStatus]
    ) async throws(StoreError) {
        let key = keys.webhooks(partition)
        var words: [any RedisArgument] = [key]
        for (name, value) in progress.sorted(by: { $0.key < $1.key }) {
            words.append(name)
            words.append(try Self.encode(value))
        }
        for (name, value) in statuses.sorted(by: { $0.key < $1.key }) {
            words.append(name + Self.statusMark)
            words.append(try Self.encode(value))
        }
        guard words.count > 1 else { return }
        _ = try await link.send(RedisCommand("HSET", arguments: words), key: key)
    }

    public func forget(_ endpoint: String) async throws(StoreError) {
        _ = try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> RESPValue in
            let key = link.keys.webhooks(partition)
            return try await link.send(
                RedisCommand("HDEL", key, endpoint, endpoint + Self.statusMark), key: key)
        }
    }

    private func fields(_ partition: Int) async throws(StoreError) -> [(name: String, bytes: [UInt8])] {
        let key = keys.webhooks(partition)
        guard let values = try await link.send(RedisCommand("HGETALL", key), key: key).array else {
            throw .malformed("the state of the webhooks")
        }
        return stride(from: 0, to: values.count - 1, by: 2).compactMap { index in
            guard let name = values[index].string, let bytes = values[index + 1].bytes else { return nil }
            return (name, bytes)
        }
    }

    // MARK: Dead letters

    private struct Letter: Codable {
        var endpoint: String
        var event: String
        var type: String
        var at: Int64
        var fields: [[String]]
        var reason: String
        var tries: Int
        var buriedAt: Int64
    }

    public func bury(_ letter: DeadLetter) async throws(StoreError) {
        let event = letter.event
        let key = keys.deadLetters(event.partition)
        let data = try Self.encode(
            Letter(
                endpoint: letter.endpoint, event: event.position.description, type: event.type,
                at: event.at.milliseconds, fields: event.fields.map { [$0.name, $0.value] }, reason: letter.reason,
                tries: letter.tries, buriedAt: letter.at.milliseconds))
        _ = try await link.send(
            RedisCommand("XADD", key, "MAXLEN", "~", Self.deadLettersKept, "*", "letter", data), key: key)
    }

    public func deadLetters(limit: Int) async throws(StoreError) -> [DeadLetter] {
        let parts = try await link.onEach(0..<keys.partitions) { partition throws(StoreError) -> [DeadLetter] in
            let key = link.keys.deadLetters(partition)
            let reply = try await link.send(RedisCommand("XRANGE", key, "-", "+", "COUNT", max(1, limit)), key: key)
            guard let entries = reply.array else { throw .malformed("the dead letters") }
            return try entries.map { entry throws(StoreError) in try Self.letter(entry, of: partition) }
        }
        return parts.flatMap { $0 }.sorted { ($0.at, $0.id) < ($1.at, $1.id) }
    }

    public func drop(_ id: String) async throws(StoreError) -> Bool {
        let parts = id.split(separator: "-", maxSplits: 1)
        guard parts.count == 2, let partition = Int(parts[0]), (0..<keys.partitions).contains(partition),
            let position = FleetEvent.Position(parts[1])
        else { return false }
        let key = keys.deadLetters(partition)
        return try await link.send(RedisCommand("XDEL", key, position.description), key: key).int == 1
    }

    private static func letter(_ entry: RESPValue, of partition: Int) throws(StoreError) -> DeadLetter {
        guard let parts = entry.array, parts.count == 2, let id = parts[0].string, let values = parts[1].array,
            values.count >= 2, let bytes = values[1].bytes
        else { throw .malformed("a dead letter") }
        let letter = try decode(Letter.self, bytes, "a dead letter")
        guard let position = FleetEvent.Position(letter.event) else { throw .malformed("a dead letter") }
        let event = FleetEvent(
            partition: partition, position: position, at: WallTime(milliseconds: letter.at), type: letter.type,
            fields: letter.fields.compactMap { $0.count == 2 ? FleetEvent.Field($0[0], $0[1]) : nil })
        return DeadLetter(
            id: "\(partition)-\(id)", endpoint: letter.endpoint, event: event, reason: letter.reason,
            tries: letter.tries, at: WallTime(milliseconds: letter.buriedAt))
    }

    // MARK: Encoding

    private static func encode(_ value: some Encodable) throws(StoreError) -> [UInt8] {
        guard let data = try? JSONEncoder().encode(value) else {
            throw StoreError(.corrupt, "the state of the webhooks cannot be encoded")
        }
        return Array(data)
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ what: String
    ) throws(StoreError) -> Value {
        guard let value = try? JSONDecoder().decode(type, from: Data(bytes)) else { throw .malformed(what) }
        return value
    }
}
